-- A creation that is only asked about ("outdated", 0016) must not be carried out together with others.
-- Needs 0009 and 0016. Running it twice changes nothing.

set role holdfast_owner;

-- As in 0009, but for "outdated".
create or replace function holdfast.may_go_together(mutation jsonb)
returns boolean
language sql
stable
return mutation ->> 'operation' = 'create'
    and mutation ->> 'type' <> 'holdfast.atomic'
    and jsonb_typeof(mutation -> 'entity') = 'object'
    and not mutation ?| array['base', 'hlc', 'encoding', 'replaces', 'unstorable', 'outdated']
    -- text is at most six times as long as what it is kept as, so this is below the limit of a payload
    and pg_column_size(mutation) < 40000;

reset role;
