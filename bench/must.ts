// A bench goes on only with the outcome it needs; any other ends it and is shown.

export function must<Answer extends { outcome: string }, Outcome extends Answer['outcome']>(
  answer: Answer,
  outcome: Outcome,
): Extract<Answer, { outcome: Outcome }> {
  if (hasOutcome(answer, outcome)) return answer;
  throw new Error(`instead of ${outcome}: ${JSON.stringify(answer)}`);
}

const hasOutcome = <Answer extends { outcome: string }, Outcome extends Answer['outcome']>(
  answer: Answer,
  outcome: Outcome,
): answer is Extract<Answer, { outcome: Outcome }> => answer.outcome === outcome;
