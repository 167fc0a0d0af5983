"""Pictures, clips and colour: files in and out, as arrays of upright RGB."""
