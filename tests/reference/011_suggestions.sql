-- What all other views read. `hold` puts a table in its place, for many questions of the same outcomes.
CREATE OR REPLACE VIEW reference_suggestions AS SELECT * FROM reference_unpacked
