"""Studies: cases, baselines and ablations over corpora, folds and seeds. The command is `trainers.table1`."""
