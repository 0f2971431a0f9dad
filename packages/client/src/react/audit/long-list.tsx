import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  type VirtualizerOptions,
  windowScroll,
} from '@tanstack/virtual-core';
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'react';

interface LongListProps<Row extends { readonly id: string }> {
  readonly rows: readonly Row[];
  /** What a row is high before it has been seen, in pixels. */
  readonly rowPx: number;
  readonly children: (row: Row) => ReactNode;
  readonly className: string;
}

type Rows = Virtualizer<Element, HTMLElement>;
type Options = VirtualizerOptions<Element, HTMLElement>;

const useBrowserLayoutEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;
/** Rows that come and go together: placing all that are below one that is measured takes as many steps as there are groups. */
const GROUP_COUNT = 10;
/** Groups beyond the edges of what is in sight. */
const OVERSCAN_COUNT = 1;

/**
 * A list of which only what is in sight, and a little more, exists; its rows may be of any height. It scrolls with whatever scrolls
 * around it. What is before and after stands for itself as empty room, so that the browser keeps what is in sight where it is when
 * rows come in above.
 */
export function LongList<Row extends { readonly id: string }>({
  rows,
  rowPx,
  children,
  className,
}: LongListProps<Row>): ReactNode {
  const list = useRef<HTMLDivElement>(null);
  const [scroller, setScroller] = useState<Element | null>(null);
  const [marginPx, setMarginPx] = useState(0);
  const [, render] = useReducer((count: number) => count + 1, 0);
  const groups = useMemo(() => groupsOf(rows), [rows]);
  // Another function would have all of them placed anew.
  const getItemKey = useCallback((index: number) => groups[index]?.at(-1)?.id ?? index, [groups]);
  const options: Options = {
    ...(scroller !== null && isPage(scroller) ? OF_PAGE : OF_ELEMENT),
    count: groups.length,
    getScrollElement: () => (scroller === null || !isPage(scroller) ? scroller : (window as unknown as Element)),
    estimateSize: (index) => rowPx * (groups[index]?.length ?? 0),
    getItemKey,
    overscan: OVERSCAN_COUNT,
    scrollMargin: marginPx,
    onChange: render,
  };
  const [virtualizer] = useState((): Rows => withoutOwnAnchor(new Virtualizer(options)));
  virtualizer.setOptions(options);
  useBrowserLayoutEffect(() => virtualizer._didMount(), [virtualizer]);
  useBrowserLayoutEffect(() => {
    if (list.current === null) return;
    const found = scrollerOf(list.current);
    setScroller(found);
    setMarginPx(placeIn(found, list.current));
    virtualizer._willUpdate();
  });
  const items = virtualizer.getVirtualItems();
  const beforePx = (items[0]?.start ?? marginPx) - marginPx;
  const afterPx = virtualizer.getTotalSize() - ((items.at(-1)?.end ?? marginPx) - marginPx);
  return (
    <div ref={list} className={className}>
      <div style={{ height: beforePx }} />
      {items.map(({ index, key }) => (
        <div key={key} ref={virtualizer.measureElement} data-index={index}>
          {groups[index]?.map(children)}
        </div>
      ))}
      <div style={{ height: Math.max(0, afterPx) }} />
    </div>
  );
}

/** From the end on, so that what comes in above leaves the groups as they are. */
function groupsOf<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups: (readonly Row[])[] = [];
  for (let end = rows.length; end > 0; end -= GROUP_COUNT) groups.push(rows.slice(Math.max(0, end - GROUP_COUNT), end));
  return groups.reverse();
}

const OF_ELEMENT: Pick<Options, 'observeElementRect' | 'observeElementOffset' | 'scrollToFn'> = {
  observeElementRect,
  observeElementOffset,
  scrollToFn: elementScroll,
};
/** The library has the window's ways under other types. */
const OF_PAGE = {
  observeElementRect: observeWindowRect,
  observeElementOffset: observeWindowOffset,
  scrollToFn: windowScroll,
} as unknown as typeof OF_ELEMENT;

/** The browser keeps what is in sight in its place; doing it twice would move it. */
function withoutOwnAnchor(virtualizer: Rows): Rows {
  virtualizer.shouldAdjustScrollPositionOnItemSizeChange = () => false;
  return virtualizer;
}

function isPage(element: Element): boolean {
  return element === element.ownerDocument.scrollingElement;
}

function scrollerOf(element: Element): Element {
  const page = element.ownerDocument.scrollingElement ?? element.ownerDocument.documentElement;
  for (let each = element.parentElement; each !== null && each !== page; each = each.parentElement)
    if (/auto|scroll/.test(getComputedStyle(each).overflowY)) return each;
  return page;
}

/** How far below the beginning of what scrolls it stands, in pixels. */
function placeIn(scroller: Element, list: Element): number {
  const topPx = isPage(scroller) ? 0 : scroller.getBoundingClientRect().top;
  return Math.round(list.getBoundingClientRect().top - topPx + scroller.scrollTop);
}
