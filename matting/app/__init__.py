"""A page in the browser for photographs, videos and a camera, on top of the library."""
