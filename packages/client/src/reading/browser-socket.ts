/** What of a WebSocket is used here. */
export interface LiveSocket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
}

export type OpenSocket = (url: string) => LiveSocket;

/** The platform's: browsers, React Native and Node from 22 on have one. A path is that of the page. */
export const platformSocket: OpenSocket = (url) => {
  const whole = new URL(url, typeof location === 'undefined' ? undefined : location.href);
  whole.protocol = whole.protocol.replace('http', 'ws');
  return new WebSocket(whole) as LiveSocket;
};
