"""Files in stores (S3, Google Cloud Storage, web servers), named by URLs, and local files alike."""
