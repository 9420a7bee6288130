UPLOADS = "./received"
OPTIONS = {"log.data_dir": "./var"}
