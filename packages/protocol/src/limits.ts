// Every limit that both ends must agree on, with its unit in its name. Limits of one process alone stand in its config.

export const limits = {
  /** A whole JSON request to the relay. */
  requestBytesMax: 512 * 1024,
  /** A sealed message as MLS wrote it. Larger content travels as a blob. */
  sealedBytesMax: 128 * 1024,
  /** A commit, a Welcome, a GroupInfo: they grow with the leaves of a group. */
  handshakeBytesMax: 256 * 1024,
  /** Content is padded to at least this many octets before sealing (design §3). */
  paddedBytesMin: 512,
  keyPackageBytesMax: 4096,
  keyPackagesPerUpload: 100,
  keyPackagesPerDevice: 200,
  /** Below this many the device uploads fresh ones. */
  keyPackagesLowWater: 20,
  keyPackageLifetimeDays: 60,
  leafCertificateLifetimeDays: 90,
  jwsBytesMax: 8192,
  devicesPerAccount: 8,
  leavesPerConversation: 256,
  membersPerGroup: 128,
  /** Application messages of this many epochs, the current one included, are accepted. */
  openEpochs: 3,
  serviceWindowHours: 24,
  mailboxRetentionDays: 30,
  /** Beyond either of these the conversation with the most in a mailbox loses its oldest items. */
  mailboxItemsMax: 10_000,
  mailboxBytesMax: 128 * 1024 * 1024,
  typingSecondsMax: 30,
  /** Sent at once over a socket before the device must acknowledge. */
  socketItemsInFlight: 128,
  socketFrameBytesMax: 64 * 1024,
  codeDigits: 6,
  codeMinutes: 10,
  codeTries: 5,
  pinDigitsMin: 6,
  pinDigitsMax: 12,
  registrationLockDays: 7,
  linkMinutes: 10,
  enrolmentDays: 7,
  blobBytesMax: 100 * 1024 * 1024,
  blobBytesPerDay: 500 * 1024 * 1024,
  blobOrphanHours: 24,
  blobRetentionDays: 30,
  blobsPerMessage: 16,
  attachmentChunkBytes: 64 * 1024,
  templateBytesMax: 32 * 1024,
  templatesPerHour: 100,
  templateParameterCharsMax: 1024,
  textCharsMax: 4096,
  captionCharsMax: 1024,
  conversationsPerDay: { person: 100, business: 100_000 },
  lookUpsPerHour: { person: 60, business: 10_000 },
  /** Of one conversation, and of those so many founded by one account. */
  generationsPerDay: 24,
  generationsPerDayByOne: 6,
  blocksPerAccount: 10_000,
  /** Pair rate (Cloud API): one message per this many seconds to one person, a burst of so many borrowed. */
  pairRate: { secondsPerMessage: 6, burst: 45 },
  pageSizeMax: 100,
} as const;
