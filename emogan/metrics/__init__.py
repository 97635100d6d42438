"""What is measured: `recognition`, `distribution` (FID, IS, KID) on the recogniser's features or `inception`'s,
`manifold` (precision, recall, density, coverage) on them, `similarity` (SSIM), `copying` of the training set, `variety` of
what is generated; `intervals` around means and `comparison` with a baseline.
"""
