// Runs work again when two transactions met (serialization failure, deadlock): the one case where
// PostgreSQL asks for a repetition. Bounded; everything else is the caller's to judge.
import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseFailure } from './database-failure.ts';

const pauseMs = 5;

export async function retryConflicts<T>(work: () => Promise<T>, attemptsMax = 5): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const met = error instanceof DatabaseFailure && error.code === 'conflict';
      if (!met || attempt >= attemptsMax) throw error;
      await delay(pauseMs * 2 ** attempt);
    }
  }
}
