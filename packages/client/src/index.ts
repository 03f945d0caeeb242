// The SDK's entry: an account on one device, its types and its store port.

export * from './account.ts';
export * from './account-api.ts';
export * from './engine-lock.ts';
export * from './environment.ts';
export * from './store.ts';
