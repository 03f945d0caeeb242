// The bot of Postwagen, an invented parcel service, as a process of its own.
import { runBot } from '@siegel/bot';
import { dialogue } from './dialogue.ts';

await runBot({ dialogue, environment: process.env, now: Date.now });
