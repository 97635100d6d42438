"""Metrics: `recognition`; `distribution` (FID, IS, KID) and `manifold` (precision, recall, density, coverage) on features of a
recogniser or of `inception`; `similarity` (SSIM); `copying` of the training set; `variety` of generated images; `intervals` of
means; `comparison` with a baseline.
"""
