-- Hot tables lead with `bucket` (the first ten bits of the owning id, packages/protocol/src/ids.ts) and every hot
-- statement names exactly one. Times are bigint milliseconds handed in by the application. No foreign keys, sequences
-- or database clocks on the hot path (docs/decisions/0003-bucket-in-the-id.md).

-- Accounts, in the account's bucket -----------------------------------------------------------------------------

CREATE TABLE accounts (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('person', 'business')),
  account_key bytea,                       -- 32 octets; null until a business has enrolled
  device_list text,                        -- the signed list exactly as it came
  device_list_version int NOT NULL DEFAULT 0,
  next_device_id smallint NOT NULL DEFAULT 1,
  pin_hash text,
  pin_tries int NOT NULL DEFAULT 0,
  pin_locked_until bigint NOT NULL DEFAULT 0,
  pin_set_at bigint,
  created_at bigint NOT NULL,
  PRIMARY KEY (bucket, account_id)
);

CREATE TABLE devices (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  leaf_key bytea NOT NULL,
  role text NOT NULL,
  token_hash bytea,                        -- SHA-256; the token's first ten bits are the bucket; null until linked, and once revoked
  created_at bigint NOT NULL,
  last_seen_at bigint NOT NULL DEFAULT 0,
  revoked_at bigint,
  leaves_ended boolean NOT NULL DEFAULT false, -- after a revocation: its leaves are marked in every conversation
  PRIMARY KEY (bucket, account_id, device_id)
);
CREATE UNIQUE INDEX devices_by_token ON devices (bucket, token_hash);
CREATE INDEX devices_half_revoked ON devices (bucket, account_id) WHERE revoked_at IS NOT NULL AND NOT leaves_ended;

CREATE TABLE key_packages (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  reference bytea NOT NULL,                -- SHA-256 of the key package
  key_package bytea NOT NULL,
  last_resort boolean NOT NULL,
  expires_at bigint NOT NULL,
  PRIMARY KEY (bucket, account_id, device_id, reference)
);
CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (bucket, account_id, device_id) WHERE last_resort;

-- Which one-time packages were ever uploaded, so that a repeated upload never brings a claimed one back (rule K2).
CREATE TABLE key_package_references (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  reference bytea NOT NULL,
  expires_at bigint NOT NULL,
  PRIMARY KEY (bucket, account_id, device_id, reference)
);

-- A block stands in the blocker's bucket and in the one where a conversation of the two would be.
CREATE TABLE blocks (
  bucket int NOT NULL,
  blocker uuid NOT NULL,
  blocked uuid NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (bucket, blocker, blocked)
);

-- Fixed-window counters: conversations a day, look-ups an hour, blob bytes a day …
CREATE TABLE quotas (
  bucket int NOT NULL,
  owner uuid NOT NULL,                     -- an account or a conversation
  quota text NOT NULL,
  window_start bigint NOT NULL,
  used bigint NOT NULL,
  PRIMARY KEY (bucket, owner, quota)
);

-- Which conversations an account is in: a copy in the account's bucket, so that a new device finds them.
CREATE TABLE account_conversations (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  PRIMARY KEY (bucket, account_id, conversation_id)
);

-- Conversations, in the conversation's bucket (the person's for a business chat) --------------------------------

CREATE TABLE conversations (
  bucket int NOT NULL,
  conversation_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('business', 'direct', 'group', 'own')),
  person_id uuid,                          -- of a business chat
  business_id uuid,
  phone_number_id bigint,
  founded boolean NOT NULL DEFAULT false,
  generation int NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0,
  oldest_open_epoch bigint NOT NULL DEFAULT 0,
  group_info bytea,
  next_sequence bigint NOT NULL DEFAULT 1,
  window_until bigint NOT NULL DEFAULT 0,  -- a person's own message opens it; strictly later than now is open
  pair_arrival_at bigint NOT NULL DEFAULT 0, -- theoretical arrival time of the generic cell rate algorithm, pair rate
  created_at bigint NOT NULL,
  PRIMARY KEY (bucket, conversation_id)
) WITH (fillfactor = 70);

-- What makes a conversation the only one of its kind: `own:<account>`, `direct:<lower>:<higher>`,
-- `business:<person>:<phone number id>`.
CREATE TABLE conversation_keys (
  bucket int NOT NULL,
  key text NOT NULL,
  conversation_id uuid NOT NULL,
  PRIMARY KEY (bucket, key)
);

CREATE TABLE members (
  bucket int NOT NULL,
  conversation_id uuid NOT NULL,
  account_id uuid NOT NULL,
  kind text NOT NULL,
  role text NOT NULL CHECK (role IN ('member', 'admin')),
  PRIMARY KEY (bucket, conversation_id, account_id)
);

-- The roster of the current generation.
CREATE TABLE leaves (
  bucket int NOT NULL,
  conversation_id uuid NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  leaf_index int NOT NULL,
  since_epoch bigint NOT NULL,
  revoked boolean NOT NULL DEFAULT false,
  PRIMARY KEY (bucket, conversation_id, account_id, device_id)
);

-- One row per accepted submit: order, de-duplication and what is still to be copied into mailboxes.
-- `item` is the JSON of a DeliveredItem without position and sequence; it is dropped once copied everywhere.
CREATE TABLE log (
  bucket int NOT NULL,
  conversation_id uuid NOT NULL,
  sequence bigint NOT NULL,
  sender_account uuid NOT NULL,
  sender_device smallint NOT NULL,
  client_id uuid NOT NULL,
  accepted_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  item text,
  recipient_accounts uuid[] NOT NULL,
  recipient_devices smallint[] NOT NULL,
  welcome_item text,                       -- for the leaves a commit added, instead of `item`
  welcome_accounts uuid[] NOT NULL DEFAULT '{}',
  welcome_devices smallint[] NOT NULL DEFAULT '{}',
  copied boolean NOT NULL DEFAULT false,
  PRIMARY KEY (bucket, conversation_id, sequence)
);
ALTER TABLE log ALTER COLUMN item SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX log_by_client_id ON log (bucket, conversation_id, sender_account, client_id);
CREATE INDEX log_uncopied ON log (bucket, conversation_id, sequence) WHERE NOT copied;

-- One row per accepted business message, in the transaction of the accept; lives until charged or expired (design §6).
CREATE TABLE meter (
  bucket int NOT NULL,
  conversation_id uuid NOT NULL,
  sequence bigint NOT NULL,
  business_id uuid NOT NULL,
  phone_number_id bigint NOT NULL,
  category text NOT NULL,                  -- marketing, utility, authentication, service
  template_id bigint,
  in_window boolean NOT NULL,
  accepted_at bigint NOT NULL,
  delivered_at bigint,                     -- first acknowledgement by a device of the person
  PRIMARY KEY (bucket, conversation_id, sequence)
);

-- Mailboxes, in the account's bucket -----------------------------------------------------------------------------

CREATE TABLE mailboxes (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  next_position bigint NOT NULL DEFAULT 1,
  acknowledged_position bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (bucket, account_id, device_id)
) WITH (fillfactor = 50);

-- How far a conversation has been copied into a mailbox: makes the copy idempotent and keeps it in order.
CREATE TABLE mailbox_cursors (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  conversation_id uuid NOT NULL,
  sequence bigint NOT NULL,
  PRIMARY KEY (bucket, account_id, device_id, conversation_id)
) WITH (fillfactor = 50);

CREATE TABLE mailbox_items (
  bucket int NOT NULL,
  account_id uuid NOT NULL,
  device_id smallint NOT NULL,
  position bigint NOT NULL,
  conversation_id uuid NOT NULL,
  sequence bigint NOT NULL,
  item text NOT NULL,
  metered boolean NOT NULL,                -- the first acknowledgement must be noted in `meter`
  expires_at bigint NOT NULL,
  PRIMARY KEY (bucket, account_id, device_id, position)
);
ALTER TABLE mailbox_items ALTER COLUMN item SET STORAGE EXTERNAL;

-- Reference tables: small, or reached by other keys ---------------------------------------------------------------

CREATE TABLE numbers (
  number text PRIMARY KEY,                 -- E.164
  account_id uuid NOT NULL,
  phone_number_id bigint UNIQUE,           -- of a business number
  waba_id bigint,
  display_name text,
  proven_at bigint NOT NULL
);
CREATE INDEX numbers_by_account ON numbers (account_id);

CREATE TABLE businesses (
  account_id uuid PRIMARY KEY,
  waba_id bigint NOT NULL UNIQUE,
  legal_name text NOT NULL,
  country text NOT NULL,
  register_entry text,
  domain text,
  evidence text NOT NULL,
  level text NOT NULL,
  keys_hosted_by text,
  created_at bigint NOT NULL
);

CREATE TABLE certificates (
  phone_number_id bigint PRIMARY KEY,
  account_id uuid NOT NULL,
  certificate text NOT NULL,
  expires_at bigint NOT NULL
);

CREATE TABLE registrations (
  registration_id bytea PRIMARY KEY,
  number text NOT NULL,
  code_hash bytea NOT NULL,
  tries_left int NOT NULL,
  expires_at bigint NOT NULL,
  token_hash bytea UNIQUE,                 -- set when the code was right
  account_id uuid,
  takes_over boolean NOT NULL DEFAULT false, -- account_id is the existing account of this number
  previous_account uuid,                   -- whose number it was when the code was right
  device_id smallint
);
CREATE INDEX registrations_by_expiry ON registrations (expires_at);

CREATE TABLE links (
  link_id text PRIMARY KEY,
  account_id uuid NOT NULL,
  opened_by smallint NOT NULL,
  expires_at bigint NOT NULL,
  leaf_key bytea,
  join_proof bytea,
  join_token_hash bytea,
  device_id smallint,
  certificate text,
  complete_proof bytea,
  finished boolean NOT NULL DEFAULT false
);

CREATE TABLE enrolments (
  code_hash bytea PRIMARY KEY,
  account_id uuid NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint
);

CREATE TABLE templates (
  template_id bigint PRIMARY KEY,
  business_id uuid NOT NULL,
  waba_id bigint NOT NULL,
  name text NOT NULL,
  language text NOT NULL,
  category text NOT NULL,                  -- of the newest approved version, else of the newest
  status text NOT NULL,                    -- what a submit is decided by
  created_at bigint NOT NULL,
  UNIQUE (waba_id, name, language)
);
CREATE INDEX templates_by_business ON templates (business_id, template_id);

CREATE TABLE template_versions (
  template_id bigint NOT NULL,
  version int NOT NULL,
  hash bytea NOT NULL,
  category text NOT NULL,
  status text NOT NULL,
  reason text,
  signed text NOT NULL,
  approval text,
  submitted_at bigint NOT NULL,
  decided_at bigint,
  PRIMARY KEY (template_id, version)
);
CREATE UNIQUE INDEX template_versions_by_hash ON template_versions (template_id, hash);

CREATE TABLE blobs (
  blob_id bytea PRIMARY KEY,
  owner uuid NOT NULL,
  secret_hash bytea NOT NULL,
  bytes bigint NOT NULL,
  written boolean NOT NULL DEFAULT false,
  attached boolean NOT NULL DEFAULT false,
  expires_at bigint NOT NULL
);
CREATE INDEX blobs_by_expiry ON blobs (expires_at);
