"""What the server tells about itself: the error log and the access log."""
