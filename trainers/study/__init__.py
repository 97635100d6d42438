"""A study: the cases of Table 1 and their controls, over corpora, folds and seeds. `trainers.table1` is the command."""
