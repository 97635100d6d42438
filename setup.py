"""Installs the packages emogan, datasets and trainers. The exact versions are in requirements.lock."""

from pathlib import Path

from setuptools import find_packages, setup

# TensorFlow 2.15 is the last release on which all of these run together; see docs/decisions.md.
REQUIRED = [
    "absl-py>=1.4,<2",
    "apache-beam[gcp]>=2.60,<2.73",
    "av>=14",
    "grpcio>=1.60",
    "importlib-resources>=6",  # needed by tensorflow-datasets, which does not list it
    "Jinja2>=3.1",
    "joblib>=1.3",
    "keras>=2.15,<2.16",
    "librosa>=0.11,<0.12",
    "matplotlib>=3.10",
    "mlcroissant>=1.0",  # needed by the command tfds; tensorflow-datasets does not list it
    "mtcnn>=1.0,<1.1",
    "numpy>=1.26,<2",
    "pandas>=1.5.3,<2",  # TensorFlow Data Validation 1.15 does not support pandas 2
    "Pillow>=10",
    "scikit-image>=0.26",
    "scikit-learn>=1.4",
    "scipy>=1.12",
    "soundfile>=0.12",
    "setuptools<81",  # tensorflow-hub imports pkg_resources
    "tenacity>=8.2,<9.2",  # the limit of google-genai
    "tensorflow>=2.15.1,<2.16",
    "tensorflow-data-validation>=1.15.1,<1.16",
    "tensorflow-datasets>=4.9.6,<4.10",
    "tensorflow-gan>=2.1,<2.2",
    "tensorflow-hub>=0.16,<0.17",
    "tensorflow-io>=0.36,<0.37",  # its compiled operators load only with TensorFlow 2.15
    "tensorflow-metadata>=1.15,<1.18",  # 1.18 needs a newer protobuf than TensorFlow 2.15
    "tensorflow-probability>=0.23,<0.24",  # 0.24 needs TensorFlow 2.16; tensorflow-gan imports it
    "tensorflow-serving-api>=2.15.1,<2.16",
    "threadpoolctl>=3.5",
    "tqdm>=4.66",
]

# Dependencies of apache-beam, tfx-bsl and TensorFlow, not imported here: the last releases compatible with the protobuf of
# TensorFlow 2.15. Without these bounds, pip tries hundreds of releases and does not terminate. Extras are part of a bound.
RESOLVED = [
    "cloud-sql-python-connector>=1.22,<1.23",
    "google-api-core[grpc]>=2.30,<2.31",
    "google-cloud-aiplatform>=1.165,<2",
    "google-cloud-bigquery>=3.47,<4",
    "google-cloud-bigquery-storage>=2.39,<2.40",
    "google-cloud-bigtable>=2.39,<2.40",
    "google-cloud-build>=3.37,<3.38",
    "google-cloud-datastore>=2.25,<2.26",
    "google-cloud-dlp>=3.38,<3.39",
    "google-cloud-kms>=3.14,<3.15",
    "google-cloud-language>=2.21,<2.22",
    "google-cloud-monitoring>=2.31,<2.32",
    "google-cloud-pubsub>=2.39,<2.39.1",
    "google-cloud-recommendations-ai>=0.10.18,<0.11",
    "google-cloud-resource-manager>=1.18,<1.19",
    "google-cloud-secret-manager>=2.29,<2.30",
    "google-cloud-spanner>=3.68,<3.69",
    "google-cloud-videointelligence>=2.20,<2.21",
    "google-cloud-vision>=3.15,<3.16",
    "google-genai>=2.34,<3",
    "googleapis-common-protos[grpc]>=1.75,<1.75.1",
    "grpc-google-iam-v1>=0.14.4,<0.14.5",
    "grpcio-status>=1.62.3,<1.63",
    "proto-plus>=1.28.2,<1.28.3",
    "protobuf>=4.25.8,<5",
    "pyarrow>=10.0.1,<11",
    "tf-keras>=2.15.1,<2.16",
]

DEVELOPMENT = [
    "dill>=0.3.8",  # needed by the test case of tensorflow-datasets, which does not list it
    "filelock>=3",
    "ipykernel>=6",
    "mypy>=1.10",
    "mkdocstrings-python>=2,<3",  # with griffe: the code reference from docstrings, parsed without an import
    "nbclient>=0.10",
    "nbformat>=5.10",
    "openvino>=2025",  # a second runtime for exported models
    "playwright>=1.50",  # controls Debian's chromium; contains no browser
    "properdocs>=1.6,<2",  # the maintained fork of MkDocs
    "properdocs-theme-readthedocs>=1.6,<2",
    "Pygments>=2.17",
    "pytest>=8",
    "pytest-cov>=5",
    "pytest-xdist>=3.6",
    "PyYAML>=6",
    "ruff>=0.6",
    "uv>=0.5",
]

setup(
    name="emogan",
    version="0.1.0",
    description="Speech spectrograms from faces: progressive GANs for audio-based emotion recognition",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["emogan", "emogan.*", "datasets", "datasets.*", "trainers", "trainers.*"]),
    entry_points={"console_scripts": ["emogan = trainers.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: GPU :: NVIDIA CUDA",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    package_data={
        "trainers": ["reports/templates/*.j2", "configs/*.flags"],
        "datasets": ["*/README.md", "*/CITATIONS.bib", "*/TAGS.txt", "*/md5sums.txt", "*/schema.pbtxt"],
    },
    install_requires=[*REQUIRED, *RESOLVED],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.15.1,<2.16"],
        "page": ["gradio>=6,<7"],  # emogan.page
        "dev": DEVELOPMENT,
        "benchmarks": ["torch==2.13.0"],  # for the comparison in tests/benchmarks/bench_training_step.py
    },
)
