// Kaufhaus Linden, an invented shop: who it is, what it may send unasked, how its bot answers.
export { dialogue } from './dialogue.ts';
export { firm } from './firm.ts';
export { templates } from './templates.ts';
