"""Clothes, hair and skin made of the body model alone; cutting, hanging and draping of any cloth."""
