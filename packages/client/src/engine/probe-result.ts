/** What asking our server whether it is there came to. */
export type ProbeResult =
  | { readonly kind: 'reached'; readonly latencyMs: number }
  /** No answer, or not our server's: no connection, a captive portal, a gateway's error page. */
  | { readonly kind: 'notReached'; readonly reason: string };
