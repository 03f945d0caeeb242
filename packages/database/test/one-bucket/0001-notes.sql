-- Two hot tables and three functions: one that stays in its bucket and two that do not.
CREATE TABLE boxes (
  bucket int NOT NULL,
  box_id bigint NOT NULL,
  next_sequence bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (bucket, box_id)
);
CREATE TABLE notes (
  bucket int NOT NULL,
  box_id bigint NOT NULL,
  sequence bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (bucket, box_id, sequence)
);

CREATE FUNCTION put_note(p_bucket int, p_box bigint, p_body bytea) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_sequence bigint;
BEGIN
  UPDATE boxes SET next_sequence = next_sequence + 1
    WHERE bucket = p_bucket AND box_id = p_box
    RETURNING next_sequence - 1 INTO v_sequence;
  INSERT INTO notes (bucket, box_id, sequence, body)
    VALUES (p_bucket, p_box, v_sequence, p_body) ON CONFLICT DO NOTHING;
  RETURN v_sequence;
END $$;

-- The breach hides in a nested statement: the bucket is forgotten.
CREATE FUNCTION find_note(p_box bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT sequence FROM notes WHERE box_id = p_box LIMIT 1);
END $$;

CREATE FUNCTION copy_note(p_buckets int[], p_box bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO notes (bucket, box_id, sequence, body)
    SELECT bucket, p_box, 1, '' FROM unnest(p_buckets) AS bucket;
END $$;
