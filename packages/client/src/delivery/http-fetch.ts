/** What of `fetch` is used here; hand in another one for tests, or for a platform whose own is not enough. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The platform's, looked up when it is called: others may replace it. */
export const platformFetch: Fetch = (url, init) => fetch(url, init);
