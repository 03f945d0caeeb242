-- A full mailbox ends what the heaviest conversation has in it, never what others sent (M2). The counters only grow with
-- each copy: they are looked at again, and set right, when they reach a bound, so that an acknowledgement need not.

ALTER TABLE mailboxes ADD COLUMN waiting_items bigint NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN waiting_bytes bigint NOT NULL DEFAULT 0;
UPDATE mailboxes b SET (waiting_items, waiting_bytes) = (
  SELECT count(*), coalesce(sum(octet_length(i.item)), 0) FROM mailbox_items i
  WHERE i.bucket = b.bucket AND i.account_id = b.account_id AND i.device_id = b.device_id);

-- An item goes before another when more items, or octets, of its own conversation are newer than it: what is left is as
-- even as can be. It stops a hundredth below the bound, so that the next copies need not count again.
CREATE FUNCTION shed_mailbox(
  p_bucket int, p_account uuid, p_device smallint, p_items_max bigint, p_bytes_max bigint
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  v_gone bigint[];
  v_items bigint;
  v_bytes bigint;
BEGIN
  -- First found, then ended: in one statement the windows would be built again for each item.
  SELECT array_agg(q.position) INTO v_gone FROM (
    SELECT w.position,
      sum(w.bytes) OVER (ORDER BY w.bytes_upward, w.position DESC) AS kept_bytes,
      row_number() OVER (ORDER BY w.items_upward, w.position DESC) AS kept_items
    FROM (
      SELECT i.position, octet_length(i.item) AS bytes,
        row_number() OVER upward AS items_upward, sum(octet_length(i.item)) OVER upward AS bytes_upward
      FROM mailbox_items i
      WHERE i.bucket = p_bucket AND i.account_id = p_account AND i.device_id = p_device
      WINDOW upward AS (PARTITION BY i.conversation_id ORDER BY i.position DESC)
    ) w
  ) q
  WHERE q.kept_items > p_items_max - p_items_max / 100 OR q.kept_bytes > p_bytes_max - p_bytes_max / 100;
  DELETE FROM mailbox_items
  WHERE bucket = p_bucket AND account_id = p_account AND device_id = p_device AND position = ANY (v_gone);
  SELECT count(*), coalesce(sum(octet_length(i.item)), 0) INTO v_items, v_bytes FROM mailbox_items i
  WHERE i.bucket = p_bucket AND i.account_id = p_account AND i.device_id = p_device;
  UPDATE mailboxes SET waiting_items = v_items, waiting_bytes = v_bytes
  WHERE bucket = p_bucket AND account_id = p_account AND device_id = p_device;
END $$;

DROP FUNCTION copy_batch(
  int[], uuid[], smallint[], uuid[], bigint[], bigint[], boolean[], int[], text[], bigint);

-- Harmless to repeat: what a mailbox has of a conversation is never written twice. Answers the mailboxes that grew.
CREATE FUNCTION copy_batch(
  p_buckets int[], p_accounts uuid[], p_devices smallint[], p_conversations uuid[], p_sequences bigint[],
  p_expires_at bigint[], p_metered boolean[], p_item_numbers int[], p_items text[], p_items_max bigint,
  p_bytes_max bigint
) RETURNS TABLE (o_account uuid, o_device smallint) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  e record;
  b record;
  last record;
  v_cursor bigint;
  v_known boolean := false;   -- the cursor has a row
  v_moved boolean := false;   -- the cursor has moved
  v_grown boolean := false;   -- the mailbox has grown
BEGIN
  SELECT NULL::int AS bucket, NULL::uuid AS account, NULL::smallint AS device, NULL::uuid AS conversation INTO last;
  FOR e IN
    SELECT * FROM (
      SELECT *, false AS ended FROM unnest(
        p_buckets, p_accounts, p_devices, p_conversations, p_sequences, p_expires_at, p_metered, p_item_numbers
      ) AS t (bucket, account, device, conversation, sequence, expires_at, metered, item_number)
      UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true
    ) u ORDER BY u.ended, u.bucket, u.account, u.device, u.conversation, u.sequence
  LOOP
    IF v_moved AND (e.ended OR (e.bucket, e.account, e.device, e.conversation)
        IS DISTINCT FROM (last.bucket, last.account, last.device, last.conversation)) THEN
      IF v_known THEN
        UPDATE mailbox_cursors SET sequence = v_cursor
        WHERE bucket = last.bucket AND account_id = last.account AND device_id = last.device
          AND conversation_id = last.conversation;
      ELSE
        INSERT INTO mailbox_cursors (bucket, account_id, device_id, conversation_id, sequence)
        VALUES (last.bucket, last.account, last.device, last.conversation, v_cursor);
      END IF;
      v_moved := false;
    END IF;
    IF v_grown AND (e.ended OR (e.bucket, e.account, e.device)
        IS DISTINCT FROM (last.bucket, last.account, last.device)) THEN
      UPDATE mailboxes SET next_position = b.next_position, waiting_items = b.waiting_items,
        waiting_bytes = b.waiting_bytes
      WHERE bucket = last.bucket AND account_id = last.account AND device_id = last.device;
      IF b.waiting_items > p_items_max OR b.waiting_bytes > p_bytes_max THEN
        PERFORM shed_mailbox(last.bucket, last.account, last.device, p_items_max, p_bytes_max);
      END IF;
      o_account := last.account;
      o_device := last.device;
      RETURN NEXT;
      v_grown := false;
    END IF;
    EXIT WHEN e.ended;

    IF (e.bucket, e.account, e.device)
        IS DISTINCT FROM (last.bucket, last.account, last.device) THEN
      LOOP
        SELECT x.next_position, x.waiting_items, x.waiting_bytes, EXISTS (
            SELECT 1 FROM devices d WHERE d.bucket = e.bucket AND d.account_id = e.account
              AND d.device_id = e.device AND d.revoked_at IS NULL
          ) AS current INTO b
        FROM mailboxes x WHERE x.bucket = e.bucket AND x.account_id = e.account AND x.device_id = e.device
        FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO mailboxes (bucket, account_id, device_id) VALUES (e.bucket, e.account, e.device)
        ON CONFLICT DO NOTHING;
      END LOOP;
    END IF;
    IF b.current THEN
      IF (e.bucket, e.account, e.device, e.conversation)
          IS DISTINCT FROM (last.bucket, last.account, last.device, last.conversation) THEN
        SELECT x.sequence INTO v_cursor FROM mailbox_cursors x
        WHERE x.bucket = e.bucket AND x.account_id = e.account AND x.device_id = e.device
          AND x.conversation_id = e.conversation;
        v_known := FOUND;
        v_cursor := coalesce(v_cursor, 0);
      END IF;
      IF e.sequence > v_cursor THEN
        INSERT INTO mailbox_items (bucket, account_id, device_id, position, conversation_id, sequence, item,
          metered, expires_at)
        VALUES (e.bucket, e.account, e.device, b.next_position, e.conversation, e.sequence,
          p_items[e.item_number], e.metered, e.expires_at);
        b.next_position := b.next_position + 1;
        b.waiting_items := b.waiting_items + 1;
        b.waiting_bytes := b.waiting_bytes + octet_length(p_items[e.item_number]);
        v_cursor := e.sequence;
        v_moved := true;
        v_grown := true;
      END IF;
    END IF;
    last := e;
  END LOOP;
END $$;
