"""What is measured: `recognition`, `distribution` (FID, IS, KID) on the recogniser's features or `inception`'s,
`similarity` (SSIM), `copying` of the training set; `intervals` around means and `comparison` with a baseline.
"""
