import { type Dispatch, type SetStateAction, useCallback, useEffect, useRef, useState } from 'react';

/** `useState` whose setter does nothing once the component is gone. It keeps its identity. */
export function useSafeState<State>(initial: State | (() => State)): [State, Dispatch<SetStateAction<State>>] {
  const [state, setState] = useState(initial);
  const isMounted = useRef(false);
  useEffect(() => {
    isMounted.current = true;
    return () => {
      isMounted.current = false;
    };
  }, []);
  const setSafely = useCallback((next: SetStateAction<State>) => {
    if (isMounted.current) setState(next);
  }, []);
  return [state, setSafely];
}
