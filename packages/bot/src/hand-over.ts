// Knows which conversations a person has taken over: there the bot is quiet until somebody resumes
// it or the time has passed.

export interface HandOvers {
  begin(conversation: string, minutes: number): void;
  /** `false` when the bot was not quiet there. */
  end(conversation: string): boolean;
  isQuiet(conversation: string): boolean;
  list(): readonly { readonly conversation: string; readonly until: number }[];
}

export function createHandOvers(now: () => number, conversationsMax: number): HandOvers {
  const untilOf = new Map<string, number>();

  const forgetOver = () => {
    for (const [conversation, until] of untilOf) {
      if (until <= now()) untilOf.delete(conversation);
    }
  };

  return {
    begin(conversation, minutes) {
      forgetOver();
      untilOf.delete(conversation);
      if (untilOf.size >= conversationsMax) {
        const oldest = untilOf.keys().next();
        if (oldest.done !== true) untilOf.delete(oldest.value);
      }
      untilOf.set(conversation, now() + minutes * 60_000);
    },
    end: (conversation) => untilOf.delete(conversation),
    isQuiet(conversation) {
      const until = untilOf.get(conversation);
      if (until === undefined) return false;
      if (until > now()) return true;
      untilOf.delete(conversation);
      return false;
    },
    list() {
      forgetOver();
      return [...untilOf].map(([conversation, until]) => ({ conversation, until }));
    },
  };
}
