import fc from 'fast-check';

// For the measurement of coverage: which branches are reached must not depend on the day.
fc.configureGlobal({ seed: 1 });
