"""What is measured: `recognition`, `distribution` (FID, IS, KID), `similarity` (SSIM), `intervals` around means."""
