-- The gateway's own database: one legal entity, on its own machine. Times are bigint milliseconds handed in by the
-- application. Content of messages is not kept here; the account's own store is opaque to SQL.

CREATE TABLE settings (
  name text PRIMARY KEY,
  value bytea NOT NULL
);

-- The account's store (packages/client/src/store.ts). Keys sort by code point, hence COLLATE "C". ----------------

CREATE TABLE account_records (
  collection text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (collection, key)
);

-- One writer: whoever holds the highest fence. A commit with an older one is refused.
CREATE TABLE writer_leases (
  name text PRIMARY KEY,
  holder uuid NOT NULL,
  fence bigint NOT NULL,
  expires_at bigint NOT NULL
);

-- People as the firm knows them ----------------------------------------------------------------------------------

CREATE TABLE contacts (
  user_id text PRIMARY KEY,                -- BSUID
  account_id uuid UNIQUE,                  -- null while only a number was written to
  number text UNIQUE,                      -- E.164, only if the firm knew it or the person sent it
  profile_name text,
  merged_into text,                        -- an id handed out before the account was known
  created_at bigint NOT NULL
);

CREATE TABLE chats (
  conversation_id uuid PRIMARY KEY,
  phone_number_id text NOT NULL,
  user_id text NOT NULL
);

-- Message log: what became of each message, both directions -------------------------------------------------------

CREATE TABLE messages (
  wamid text PRIMARY KEY,
  direction text NOT NULL CHECK (direction IN ('in', 'out')),
  phone_number_id text NOT NULL,
  user_id text NOT NULL,
  conversation_id uuid,
  client_id uuid NOT NULL,
  message_id text,                         -- known once the content was sealed
  type text NOT NULL,
  template_id text,
  category text,
  callback_data text,
  status text NOT NULL,
  failure text,
  created_at bigint NOT NULL,
  status_at bigint NOT NULL
);
CREATE INDEX messages_by_message_id ON messages (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX messages_by_client_id ON messages (client_id);
CREATE INDEX messages_by_time ON messages (phone_number_id, created_at);

-- Media ------------------------------------------------------------------------------------------------------------

CREATE TABLE media (
  media_id text PRIMARY KEY,
  phone_number_id text NOT NULL,
  origin text NOT NULL CHECK (origin IN ('upload', 'received')),
  mime_type text NOT NULL,
  filename text,
  bytes bigint,                            -- null until the whole was stored
  sha256 bytea,
  attachment text,                         -- JSON: where the sealed blob lies and how to open it
  sealed_until bigint,                     -- an own blob is sealed again after this
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX media_by_expiry ON media (expires_at);

CREATE TABLE media_chunks (
  media_id text NOT NULL,
  chunk int NOT NULL,
  octets bytea NOT NULL,
  PRIMARY KEY (media_id, chunk)
);

-- Access -----------------------------------------------------------------------------------------------------------

CREATE TABLE access_tokens (
  token_hash bytea PRIMARY KEY,            -- SHA-256
  label text NOT NULL,
  permissions text[] NOT NULL,
  phone_number_ids text[],                 -- null: every number of the firm
  created_at bigint NOT NULL,
  expires_at bigint,
  revoked_at bigint
);

-- Webhooks ---------------------------------------------------------------------------------------------------------

-- Where events go: the number's own address first, then its WABA's, then the app's.
CREATE TABLE webhook_callbacks (
  scope text NOT NULL CHECK (scope IN ('app', 'waba', 'number')),
  scope_id text NOT NULL,
  callback_url text NOT NULL,
  verify_token text NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (scope, scope_id)
);

-- A WABA whose app was unsubscribed gets no events. No row means subscribed.
CREATE TABLE webhook_unsubscribed (
  waba_id text PRIMARY KEY
);

-- Events of one chat are delivered in order: `next_at` is when its oldest waiting event is due. Its row is the lock between
-- whoever adds an event and whoever settles one.
CREATE TABLE webhook_chats (
  chat text PRIMARY KEY,
  waiting int NOT NULL,
  next_at bigint NOT NULL
);
CREATE INDEX webhook_chats_due ON webhook_chats (next_at) WHERE waiting > 0;

CREATE TABLE webhook_events (
  event_id uuid PRIMARY KEY,
  chat text NOT NULL,
  event_order bigint NOT NULL,             -- made by the application, grows with every event
  waba_id text NOT NULL,
  phone_number_id text NOT NULL,
  media_id text,                           -- its bytes are fetched before the first attempt, then this is null
  body text NOT NULL,                      -- ASCII JSON; exactly this is signed and sent
  state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
  attempts int NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  settled_at bigint,
  last_answer text,                        -- HTTP status or a word for what went wrong
  UNIQUE (event_order)
);
CREATE INDEX webhook_events_waiting ON webhook_events (chat, event_order) WHERE state = 'waiting';
CREATE INDEX webhook_events_settled ON webhook_events (settled_at) WHERE state <> 'waiting';
