from setuptools import find_packages, setup

setup(name="ferry", version="0.1", packages=find_packages(), install_requires=["django==5.2.19"])
