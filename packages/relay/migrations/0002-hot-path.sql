-- The hot path: accept a batch, copy it into mailboxes, deliver, acknowledge. Each statement names one bucket and one
-- transaction locks rows in ascending order of their keys, so batches never deadlock with each other. A function takes
-- a batch over many buckets on one server, or of one bucket where the buckets are spread over servers.
-- Plans are made once a connection, perhaps while the tables are still empty: no sequential scan may be among them.

ALTER TABLE log ADD COLUMN epoch_after bigint;  -- of a commit: the epoch it began
ALTER TABLE log ADD COLUMN metered_for uuid;    -- the person whose first acknowledgement the meter waits for
-- GroupInfo must not travel with every update of the sequence.
ALTER TABLE conversations ALTER COLUMN group_info SET STORAGE EXTERNAL;
ALTER TABLE conversations SET (toast_tuple_target = 256);

-- Accept (docs/spec/relay.md S3 to S9; the caller has decided S1 and S2) -----------------------------------------

CREATE FUNCTION accept_batch(
  p_buckets int[], p_conversations uuid[], p_senders uuid[], p_devices smallint[], p_client_ids uuid[],
  p_generations int[], p_epochs bigint[], p_kinds text[], p_template_ids bigint[], p_categories text[],
  p_accepted_at bigint[], p_expires_at bigint[], p_items text[],
  p_window_ms bigint, p_pair_interval_ms bigint, p_pair_burst int
) RETURNS TABLE (
  o_message int, o_outcome text, o_sequence bigint, o_accepted_at bigint, o_generation int, o_epoch bigint,
  o_retry_after_ms bigint, o_reason text, o_leaves jsonb
) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  m record;
  c record;
  r record;
  v_conversation uuid;
  v_changed boolean := false;
  v_message boolean;
  v_business boolean;
  v_dropped boolean;
  v_earliest bigint;
BEGIN
  FOR m IN
    SELECT * FROM unnest(
      p_buckets, p_conversations, p_senders, p_devices, p_client_ids, p_generations, p_epochs, p_kinds,
      p_template_ids, p_categories, p_accepted_at, p_expires_at, p_items
    ) WITH ORDINALITY AS t (
      bucket, conversation, sender, device, client_id, generation, epoch, kind,
      template_id, category, accepted_at, expires_at, item, number
    ) ORDER BY t.bucket, t.conversation, t.number
  LOOP
    o_message := m.number;
    o_outcome := NULL; o_sequence := NULL; o_accepted_at := NULL; o_generation := NULL; o_epoch := NULL;
    o_retry_after_ms := NULL; o_reason := NULL; o_leaves := NULL;

    -- One lock and one update a conversation, however many messages of the batch are in it.
    IF v_conversation IS DISTINCT FROM m.conversation THEN
      IF v_changed THEN
        UPDATE conversations SET next_sequence = c.next_sequence, window_until = c.window_until,
          pair_arrival_at = c.pair_arrival_at
        WHERE bucket = c.bucket AND conversation_id = v_conversation;
      END IF;
      SELECT k.bucket, k.kind, k.person_id, k.business_id, k.phone_number_id, k.generation, k.epoch,
        k.oldest_open_epoch, k.next_sequence, k.window_until, k.pair_arrival_at INTO c
      FROM conversations k WHERE k.bucket = m.bucket AND k.conversation_id = m.conversation FOR UPDATE;
      v_conversation := m.conversation;
      v_changed := false;
    END IF;

    -- After the lock, so that the snapshot shows every earlier accept and commit.
    SELECT q.*, d.sequence AS known_sequence, d.accepted_at AS known_accepted_at,
      c.kind IN ('business', 'direct') AND EXISTS (
        SELECT 1 FROM members k
        JOIN blocks b ON b.bucket = m.bucket AND b.blocker = k.account_id AND b.blocked = m.sender
        WHERE k.bucket = m.bucket AND k.conversation_id = m.conversation
      ) AS blocked INTO r
    FROM (
      SELECT
        bool_or(l.account_id = m.sender AND l.device_id = m.device AND NOT l.revoked) AS in_roster,
        bool_or(l.account_id = m.sender AND l.device_id = m.device AND l.since_epoch <= m.epoch) AS in_epoch,
        bool_or(l.revoked) AS removal_due,
        bool_or(l.account_id <> m.sender AND l.since_epoch <= m.epoch AND NOT l.revoked) AS reachable,
        array_agg(l.account_id) FILTER (WHERE l.since_epoch <= m.epoch
          AND NOT (l.account_id = m.sender AND l.device_id = m.device)) AS accounts,
        array_agg(l.device_id) FILTER (WHERE l.since_epoch <= m.epoch
          AND NOT (l.account_id = m.sender AND l.device_id = m.device)) AS devices
      FROM leaves l WHERE l.bucket = m.bucket AND l.conversation_id = m.conversation
    ) q
    LEFT JOIN log d ON d.bucket = m.bucket AND d.conversation_id = m.conversation
      AND d.sender_account = m.sender AND d.client_id = m.client_id;

    v_message := m.kind IN ('free-form', 'template');
    v_business := c.kind = 'business' AND c.business_id = m.sender;
    v_earliest := c.pair_arrival_at - (p_pair_burst - 1) * p_pair_interval_ms;

    IF r.known_sequence IS NOT NULL THEN                                                               -- S3
      o_outcome := 'duplicate';
      o_sequence := r.known_sequence;
      o_accepted_at := r.known_accepted_at;
    ELSIF r.in_roster IS NOT TRUE THEN                                                                 -- S4
      o_outcome := 'not-member';
    ELSIF r.removal_due THEN
      o_outcome := 'removal-required';
      SELECT jsonb_agg(jsonb_build_object('leafIndex', l.leaf_index, 'accountId', l.account_id,
        'deviceId', l.device_id) ORDER BY l.leaf_index) INTO o_leaves
      FROM leaves l WHERE l.bucket = m.bucket AND l.conversation_id = m.conversation AND l.revoked;
    ELSIF m.generation <> c.generation OR m.epoch > c.epoch OR m.epoch < c.oldest_open_epoch
        OR NOT r.in_epoch THEN
      o_outcome := 'stale-epoch';
      o_generation := c.generation;
      o_epoch := c.epoch;
    -- Nobody to deliver to is told to both sides alike, blocked or not; a block alone only to a business (S5, X2).
    ELSIF (v_message AND NOT r.reachable AND c.kind IN ('business', 'direct'))
        OR (v_business AND r.blocked) THEN
      o_outcome := 'undeliverable';
    ELSIF m.kind = 'free-form' AND v_business AND c.window_until <= m.accepted_at THEN                 -- S6
      o_outcome := 'window-closed';
    ELSIF m.kind = 'template' THEN                                                                     -- S7
      SELECT CASE
        WHEN t.status = 'deleted' THEN 'unknown'
        WHEN t.status IN ('paused', 'disabled') THEN t.status
        WHEN t.status <> 'approved' THEN 'not-approved'
        WHEN t.category <> m.category THEN 'wrong-category'
      END INTO o_reason
      FROM templates t WHERE t.template_id = m.template_id AND t.business_id = m.sender AND v_business;
      IF NOT FOUND THEN o_reason := 'unknown'; END IF;
      IF o_reason IS NOT NULL THEN o_outcome := 'template-refused'; END IF;
    END IF;
    IF o_outcome IS NULL AND v_message AND v_business AND m.accepted_at < v_earliest THEN              -- S8
      o_outcome := 'pair-rate';
      o_retry_after_ms := v_earliest - m.accepted_at;
    END IF;

    IF o_outcome IS NULL THEN                                                                          -- S9
      v_dropped := r.blocked;
      IF v_dropped THEN
        -- The own devices of the sender still see what it sent.
        SELECT array_agg(t.account), array_agg(t.device) INTO r.accounts, r.devices
        FROM unnest(r.accounts, r.devices) AS t (account, device) WHERE t.account = m.sender;
      END IF;
      INSERT INTO log (bucket, conversation_id, sequence, sender_account, sender_device, client_id,
        accepted_at, expires_at, item, recipient_accounts, recipient_devices, copied, metered_for)
      VALUES (m.bucket, m.conversation, c.next_sequence, m.sender, m.device, m.client_id,
        m.accepted_at, m.expires_at, CASE WHEN r.accounts IS NOT NULL THEN m.item END,
        coalesce(r.accounts, '{}'), coalesce(r.devices, '{}'), r.accounts IS NULL,
        CASE WHEN v_message AND v_business THEN c.person_id END);
      IF v_message AND v_business THEN
        INSERT INTO meter (bucket, conversation_id, sequence, business_id, phone_number_id, category,
          template_id, in_window, accepted_at)
        VALUES (m.bucket, m.conversation, c.next_sequence, c.business_id, c.phone_number_id,
          coalesce(m.category, 'service'), m.template_id, c.window_until > m.accepted_at, m.accepted_at);
        c.pair_arrival_at := greatest(c.pair_arrival_at, m.accepted_at) + p_pair_interval_ms;
      ELSIF v_message AND c.kind = 'business' AND NOT v_dropped THEN
        c.window_until := greatest(c.window_until, m.accepted_at + p_window_ms);
      END IF;
      o_outcome := 'accepted';
      o_sequence := c.next_sequence;
      o_accepted_at := m.accepted_at;
      c.next_sequence := c.next_sequence + 1;
      v_changed := true;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF v_changed THEN
    UPDATE conversations SET next_sequence = c.next_sequence, window_until = c.window_until,
      pair_arrival_at = c.pair_arrival_at
    WHERE bucket = c.bucket AND conversation_id = v_conversation;
  END IF;
END $$;

-- Copy: from the log of a conversation into the mailboxes of its devices, in other buckets (M1) -------------------

CREATE FUNCTION read_uncopied(p_buckets int[], p_conversations uuid[], p_rows_max int, p_bytes_max bigint)
RETURNS TABLE (
  o_bucket int, o_conversation uuid, o_sequence bigint, o_accepted_at bigint, o_expires_at bigint,
  o_item text, o_accounts uuid[], o_devices smallint[], o_welcome_item text, o_welcome_accounts uuid[],
  o_welcome_devices smallint[], o_metered_for uuid
) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT * FROM unnest(p_buckets, p_conversations) AS t (bucket, conversation) LOOP
    RETURN QUERY
      SELECT c.bucket, c.conversation, q.sequence, q.accepted_at, q.expires_at, q.item, q.recipient_accounts,
        q.recipient_devices, q.welcome_item, q.welcome_accounts, q.welcome_devices, q.metered_for
      FROM (
        SELECT l.*, coalesce(sum(coalesce(octet_length(l.item), 0) + coalesce(octet_length(l.welcome_item), 0))
          OVER (ORDER BY l.sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
        FROM log l WHERE l.bucket = c.bucket AND l.conversation_id = c.conversation AND NOT l.copied
        ORDER BY l.sequence LIMIT p_rows_max
      ) q WHERE q.bytes_before < p_bytes_max ORDER BY q.sequence;
  END LOOP;
END $$;

-- Harmless to repeat: what a mailbox has of a conversation is never written twice. Answers the mailboxes that grew.
CREATE FUNCTION copy_batch(
  p_buckets int[], p_accounts uuid[], p_devices smallint[], p_conversations uuid[], p_sequences bigint[],
  p_expires_at bigint[], p_metered boolean[], p_item_numbers int[], p_items text[], p_items_max bigint
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
      UPDATE mailboxes SET next_position = b.next_position
      WHERE bucket = last.bucket AND account_id = last.account AND device_id = last.device;
      IF b.next_position - 1 - b.acknowledged_position > p_items_max THEN
        DELETE FROM mailbox_items
        WHERE bucket = last.bucket AND account_id = last.account AND device_id = last.device
          AND position < b.next_position - p_items_max;
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
        SELECT x.next_position, x.acknowledged_position, EXISTS (
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
        v_cursor := e.sequence;
        v_moved := true;
        v_grown := true;
      END IF;
    END IF;
    last := e;
  END LOOP;
END $$;

-- Forgetting this only repeats a copy, so it need not wait for the disk.
CREATE FUNCTION finish_copy(p_buckets int[], p_conversations uuid[], p_sequences bigint[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  c record;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  FOR c IN
    SELECT * FROM unnest(p_buckets, p_conversations, p_sequences) AS t (bucket, conversation, sequence)
    ORDER BY t.bucket, t.conversation
  LOOP
    UPDATE log SET copied = true, item = NULL, welcome_item = NULL
    WHERE bucket = c.bucket AND conversation_id = c.conversation AND sequence <= c.sequence AND NOT copied;
  END LOOP;
END $$;

-- Deliver and acknowledge (M2, M3, M5) -----------------------------------------------------------------------------

CREATE FUNCTION read_mailboxes(
  p_buckets int[], p_accounts uuid[], p_devices smallint[], p_after bigint[], p_limits int[], p_bytes_max bigint,
  p_now bigint
) RETURNS TABLE (o_reader int, o_position bigint, o_sequence bigint, o_item text) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  b record;
BEGIN
  FOR b IN
    SELECT * FROM unnest(p_buckets, p_accounts, p_devices, p_after, p_limits) WITH ORDINALITY
      AS t (bucket, account, device, after, items, number)
  LOOP
    RETURN QUERY
      SELECT b.number::int, q.position, q.sequence, q.item FROM (
        SELECT i.position, i.sequence, i.item,
          coalesce(sum(octet_length(i.item))
            OVER (ORDER BY i.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
        FROM mailbox_items i
        WHERE i.bucket = b.bucket AND i.account_id = b.account AND i.device_id = b.device
          AND i.position > b.after AND i.expires_at > p_now
        ORDER BY i.position LIMIT b.items
      ) q WHERE q.bytes_before < p_bytes_max ORDER BY q.position;
  END LOOP;
END $$;

-- A metered item lives in the bucket of its meter row: both are the person's.
CREATE FUNCTION ack_batch(
  p_buckets int[], p_accounts uuid[], p_devices smallint[], p_positions bigint[], p_now bigint
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  b record;
  i record;
  v_buckets int[] := '{}';
  v_conversations uuid[] := '{}';
  v_sequences bigint[] := '{}';
BEGIN
  FOR b IN
    SELECT t.bucket, t.account, t.device, max(t.position) AS position
    FROM unnest(p_buckets, p_accounts, p_devices, p_positions) AS t (bucket, account, device, position)
    GROUP BY t.bucket, t.account, t.device ORDER BY t.bucket, t.account, t.device
  LOOP
    UPDATE mailboxes SET acknowledged_position =
      greatest(acknowledged_position, least(b.position, next_position - 1))
    WHERE bucket = b.bucket AND account_id = b.account AND device_id = b.device;
    FOR i IN
      DELETE FROM mailbox_items
      WHERE bucket = b.bucket AND account_id = b.account AND device_id = b.device
        AND position <= b.position
      RETURNING metered, conversation_id, sequence
    LOOP
      IF i.metered THEN
        v_buckets := v_buckets || b.bucket;
        v_conversations := v_conversations || i.conversation_id;
        v_sequences := v_sequences || i.sequence;
      END IF;
    END LOOP;
  END LOOP;
  FOR i IN
    SELECT * FROM unnest(v_buckets, v_conversations, v_sequences) AS t (bucket, conversation, sequence)
    ORDER BY t.bucket, t.conversation, t.sequence
  LOOP
    UPDATE meter SET delivered_at = p_now
    WHERE bucket = i.bucket AND conversation_id = i.conversation AND sequence = i.sequence
      AND delivered_at IS NULL;
  END LOOP;
END $$;

-- Conversations: read, and claim key packages (C4, K2, K4) ---------------------------------------------------------

CREATE FUNCTION read_conversations(p_buckets int[], p_conversations uuid[])
RETURNS TABLE (
  o_bucket int, o_conversation uuid, o_kind text, o_person uuid, o_business uuid, o_phone_number_id bigint,
  o_founded boolean, o_generation int, o_epoch bigint, o_oldest_open_epoch bigint, o_window_until bigint,
  o_members jsonb, o_leaves jsonb
) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT * FROM unnest(p_buckets, p_conversations) AS t (bucket, conversation) LOOP
    RETURN QUERY
      SELECT k.bucket, k.conversation_id, k.kind, k.person_id, k.business_id, k.phone_number_id, k.founded,
        k.generation, k.epoch, k.oldest_open_epoch, k.window_until,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('accountId', m.account_id, 'kind', m.kind,
            'role', m.role) ORDER BY m.account_id), '[]')
          FROM members m WHERE m.bucket = c.bucket AND m.conversation_id = c.conversation),
        (SELECT coalesce(jsonb_agg(jsonb_build_object('leafIndex', l.leaf_index, 'accountId', l.account_id,
            'deviceId', l.device_id, 'sinceEpoch', l.since_epoch, 'revoked', l.revoked)
            ORDER BY l.leaf_index), '[]')
          FROM leaves l WHERE l.bucket = c.bucket AND l.conversation_id = c.conversation)
      FROM conversations k WHERE k.bucket = c.bucket AND k.conversation_id = c.conversation;
  END LOOP;
END $$;

-- What opening must know of each account, with the same work whether it exists or not (C3). `o_devices` are its
-- current devices, `o_reachable` those among them that have a key package.
CREATE FUNCTION read_accounts(p_buckets int[], p_accounts uuid[], p_other uuid, p_now bigint)
RETURNS TABLE (
  o_account uuid, o_kind text, o_device_list text, o_device_list_version int, o_devices smallint[],
  o_reachable smallint[], o_blocks_other boolean
) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  a record;
BEGIN
  FOR a IN SELECT * FROM unnest(p_buckets, p_accounts) AS t (bucket, account) LOOP
    RETURN QUERY
      SELECT a.account, x.kind, x.device_list, x.device_list_version, coalesce(q.devices, '{}'),
        coalesce(q.reachable, '{}'),
        EXISTS (SELECT 1 FROM blocks b
          WHERE b.bucket = a.bucket AND b.blocker = a.account AND b.blocked = p_other)
      FROM (
        SELECT array_agg(d.device_id ORDER BY d.device_id) AS devices,
          array_agg(d.device_id ORDER BY d.device_id) FILTER (WHERE EXISTS (
            SELECT 1 FROM key_packages k WHERE k.bucket = a.bucket AND k.account_id = a.account
              AND k.device_id = d.device_id AND k.expires_at > p_now)) AS reachable
        FROM devices d
        WHERE d.bucket = a.bucket AND d.account_id = a.account AND d.revoked_at IS NULL
      ) q LEFT JOIN accounts x ON x.bucket = a.bucket AND x.account_id = a.account;
  END LOOP;
END $$;

-- One key package for each current device of each account: a one-time one unless `p_one_time` is false for the
-- account or none is left, else the last-resort one. Devices in `p_skip_devices` of `p_skip_account` get none.
CREATE FUNCTION claim_key_packages(
  p_buckets int[], p_accounts uuid[], p_one_time boolean[], p_skip_account uuid, p_skip_devices smallint[],
  p_now bigint
) RETURNS TABLE (
  o_account uuid, o_device smallint, o_key_package bytea, o_last_resort boolean, o_left int
) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  a record;
BEGIN
  FOR a IN
    SELECT * FROM unnest(p_buckets, p_accounts, p_one_time) AS t (bucket, account, one_time)
    ORDER BY t.bucket, t.account
  LOOP
    o_account := a.account;
    FOR o_device IN
      SELECT d.device_id FROM devices d
      WHERE d.bucket = a.bucket AND d.account_id = a.account AND d.revoked_at IS NULL
        AND NOT (a.account = p_skip_account AND d.device_id = ANY (p_skip_devices))
      ORDER BY d.device_id
    LOOP
      o_key_package := NULL;
      o_last_resort := false;
      IF a.one_time THEN
        DELETE FROM key_packages WHERE bucket = a.bucket AND account_id = a.account AND device_id = o_device
          AND reference = (
            SELECT k.reference FROM key_packages k
            WHERE k.bucket = a.bucket AND k.account_id = a.account AND k.device_id = o_device
              AND NOT k.last_resort AND k.expires_at > p_now
            LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING key_package INTO o_key_package;
      END IF;
      IF o_key_package IS NULL THEN
        SELECT k.key_package INTO o_key_package FROM key_packages k
        WHERE k.bucket = a.bucket AND k.account_id = a.account AND k.device_id = o_device
          AND k.last_resort AND k.expires_at > p_now;
        o_last_resort := true;
      END IF;
      IF o_key_package IS NOT NULL THEN
        SELECT count(*) INTO o_left FROM key_packages k
        WHERE k.bucket = a.bucket AND k.account_id = a.account AND k.device_id = o_device
          AND NOT k.last_resort AND k.expires_at > p_now;
        RETURN NEXT;
      END IF;
    END LOOP;
  END LOOP;
END $$;

-- The one conversation of its key; `p_conversation` and `p_members` count only when there is none yet (C1).
CREATE FUNCTION open_conversation(
  p_bucket int, p_key text, p_conversation uuid, p_kind text, p_person uuid, p_business uuid,
  p_phone_number_id bigint, p_accounts uuid[], p_kinds text[], p_roles text[], p_now bigint
) RETURNS uuid LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  v_conversation uuid;
BEGIN
  IF p_key IS NOT NULL THEN
    INSERT INTO conversation_keys (bucket, key, conversation_id) VALUES (p_bucket, p_key, p_conversation)
    ON CONFLICT DO NOTHING;
    SELECT k.conversation_id INTO v_conversation FROM conversation_keys k
    WHERE k.bucket = p_bucket AND k.key = p_key;
    IF v_conversation <> p_conversation THEN RETURN v_conversation; END IF;
  END IF;
  INSERT INTO conversations (bucket, conversation_id, kind, person_id, business_id, phone_number_id, created_at)
  VALUES (p_bucket, p_conversation, p_kind, p_person, p_business, p_phone_number_id, p_now);
  INSERT INTO members (bucket, conversation_id, account_id, kind, role)
  SELECT p_bucket, p_conversation, t.account, t.kind, t.role
  FROM unnest(p_accounts, p_kinds, p_roles) AS t (account, kind, role);
  RETURN p_conversation;
END $$;

-- So that a new device finds them: one row in the bucket of each account.
CREATE FUNCTION note_conversation(p_buckets int[], p_accounts uuid[], p_conversation uuid)
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  a record;
BEGIN
  FOR a IN
    SELECT * FROM unnest(p_buckets, p_accounts) AS t (bucket, account) ORDER BY t.bucket, t.account
  LOOP
    INSERT INTO account_conversations (bucket, account_id, conversation_id)
    VALUES (a.bucket, a.account, p_conversation) ON CONFLICT DO NOTHING;
  END LOOP;
END $$;

-- A revocation: the leaves of these devices are marked in every conversation named (D4).
CREATE FUNCTION revoke_leaves(p_buckets int[], p_conversations uuid[], p_account uuid, p_devices smallint[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT * FROM unnest(p_buckets, p_conversations) AS t (bucket, conversation)
    ORDER BY t.bucket, t.conversation
  LOOP
    UPDATE leaves SET revoked = true
    WHERE bucket = c.bucket AND conversation_id = c.conversation AND account_id = p_account
      AND device_id = ANY (p_devices) AND NOT revoked;
  END LOOP;
END $$;

-- The mailboxes of revoked devices. The first statement waits for a copy that is just making such a mailbox; a later
-- copy sees the revocation.
CREATE FUNCTION remove_mailboxes(p_bucket int, p_account uuid, p_devices smallint[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO mailboxes AS b (bucket, account_id, device_id)
  SELECT p_bucket, p_account, t.device FROM unnest(p_devices) AS t (device) ORDER BY t.device
  ON CONFLICT (bucket, account_id, device_id) DO UPDATE SET next_position = b.next_position;
  DELETE FROM mailbox_items
  WHERE bucket = p_bucket AND account_id = p_account AND device_id = ANY (p_devices);
  DELETE FROM mailbox_cursors
  WHERE bucket = p_bucket AND account_id = p_account AND device_id = ANY (p_devices);
  DELETE FROM mailboxes
  WHERE bucket = p_bucket AND account_id = p_account AND device_id = ANY (p_devices);
END $$;
