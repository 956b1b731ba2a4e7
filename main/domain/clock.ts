/** The one clock: milliseconds since 1970, UTC. Everything that needs the time takes a clock, so that a test can hand in its own. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
