-- Which spans are summed is kept beside the sums now, in a table that is named for what is in them (reading/hours.py).

DROP TABLE IF EXISTS hour_sums;
