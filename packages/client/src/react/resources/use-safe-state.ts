import { type Dispatch, type SetStateAction, useCallback, useEffect, useRef, useState } from 'react';

/** `useState` whose setter does nothing once the component is gone. It keeps its identity. */
export function useSafeState<State>(initial: State | (() => State)): [State, Dispatch<SetStateAction<State>>] {
  const [state, setState] = useState(initial);
  // Not before it is there: layout effects, and the effects of children, run before its own.
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    return () => {
      isGone.current = true;
    };
  }, []);
  const setSafely = useCallback((next: SetStateAction<State>) => {
    if (!isGone.current) setState(next);
  }, []);
  return [state, setSafely];
}
