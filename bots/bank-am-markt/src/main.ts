// The bot of Bank am Markt, an invented bank, as a process of its own.
import { runBot } from '@siegel/bot';
import { dialogue } from './dialogue.ts';

await runBot({ dialogue, environment: process.env, now: Date.now });
