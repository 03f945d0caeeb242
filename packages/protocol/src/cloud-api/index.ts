// The shapes WhatsApp gave its Cloud API, as far as Siegel speaks it.

export {};
