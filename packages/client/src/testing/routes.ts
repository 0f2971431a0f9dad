import type { Json } from '../protocol/wire.ts';
import type { SimulatedAnswer } from './error-modes.ts';
import { json } from './error-modes.ts';
import type { Row } from './server-tables.ts';

/** A request to an endpoint of the app's own. */
export interface RouteRequest {
  /** What stands in the place of `:name` in the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly headers: Headers;
  /** What the body says as JSON; null where it is none. */
  readonly body: Json;
  readonly row: (table: string, id: string) => Row | undefined;
  readonly rows: (table: string) => readonly Row[];
  readonly write: (table: string, row: Row) => void;
  readonly remove: (table: string, id: string) => void;
}

/** An endpoint of the app's own; answers 200 with null where it returns nothing. */
export type Route = (request: RouteRequest) => {
  readonly status?: number;
  readonly body?: Json;
  readonly headers?: Readonly<Record<string, string>>;
} | void;

interface FoundRoute {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** The first route, such as `PATCH /api/notes/:id`, that this is a request to. */
export function findRoute(routes: Readonly<Record<string, Route>>, method: string, path: string): FoundRoute | null {
  for (const [name, route] of Object.entries(routes)) {
    const [routeMethod, routePath = ''] = name.split(' ');
    const names = routePath.split('/');
    const parts = path.split('/');
    if (routeMethod !== method || names.length !== parts.length) continue;
    if (!names.every((each, index) => each.startsWith(':') || each === parts[index])) continue;
    const params = names.flatMap((each, index) =>
      each.startsWith(':') ? [[each.slice(1), decodeURIComponent(parts[index] ?? '')] as const] : [],
    );
    return { route, params: Object.fromEntries(params) };
  }
  return null;
}

export function answerOfRoute(answer: ReturnType<Route>): SimulatedAnswer {
  const { status = 200, body = null, headers } = answer ?? {};
  return json(status, body, headers);
}
