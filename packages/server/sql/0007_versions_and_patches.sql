-- What table handlers need for conflicts and partial updates: rows that count their changes, hybrid times, and patches.
-- Needs 0001. Running it twice changes nothing.

set role holdfast_owner;

-- A moment as a hybrid time: what a change gets that does not bring its own.
create or replace function holdfast.hybrid_time(at timestamptz)
returns text
language sql
immutable
set search_path = ''
return lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || '-0000-server';

-- Counts up whatever the statement says, so that changes made outside of Holdfast count too. A row that is inserted with a
-- count goes on from it: one restored after its deletion is not taken for what it was before.
-- Arguments: version column, clock column or ''.
create or replace function holdfast.raise_row_version()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
    version_name constant text := tg_argv[0];
    clock_name constant text := tg_argv[1];
    former jsonb;
    stamp text;
    stamps jsonb := '{}';
begin
    if tg_op = 'UPDATE' then
        former := to_jsonb(old);
    else
        former := to_jsonb(new);
    end if;
    if clock_name <> '' then
        stamp := coalesce(nullif(current_setting('holdfast.hybrid_time', true), ''),
            holdfast.hybrid_time(clock_timestamp()));
        if tg_op = 'UPDATE' then
            stamp := greatest(stamp collate "C", (former ->> clock_name) collate "C");
        end if;
        stamps := jsonb_build_object(clock_name, stamp);
    end if;
    stamps := stamps || jsonb_build_object(version_name, coalesce((former ->> version_name)::bigint, 0) + 1);
    return jsonb_populate_record(new, stamps);
end
$$;

-- Merge patch (RFC 7396).
create or replace function holdfast.merge_patch(target jsonb, patch jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
    if jsonb_typeof(patch) <> 'object' then
        return patch;
    end if;
    if jsonb_typeof(target) is distinct from 'object' then
        target := '{}';
    end if;
    return coalesce((
        select jsonb_object_agg(field.key, field.value)
        from (
            select kept.key, kept.value from jsonb_each(target) as kept where not patch ? kept.key
            union all
            select changed.key, holdfast.merge_patch(target -> changed.key, changed.value)
            from jsonb_each(patch) as changed
            where changed.value <> 'null'
        ) as field
    ), '{}');
end
$$;

-- The steps of a pointer (RFC 6901); null when it is none.
create or replace function holdfast.pointer_steps(pointer text)
returns text[]
language sql
immutable
set search_path = ''
return case
    when pointer = '' then array[]::text[]
    when left(pointer, 1) <> '/' or pointer ~ '~([^01]|$)' then null
    when pointer = '/' then array['']
    else array(
        select replace(replace(step.name, '~1', '/'), '~0', '~')
        from unnest(string_to_array(substr(pointer, 2), '/')) with ordinality as step (name, place)
        order by step.place
    )
end;

-- What stands there; null when nothing does. An index is written plainly: neither signed nor with leading zeros.
create or replace function holdfast.value_at(document jsonb, steps text[])
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
    step text;
begin
    foreach step in array steps loop
        case jsonb_typeof(document)
            when 'object' then document := document -> step;
            when 'array' then
                document := case when step ~ '^(0|[1-9][0-9]{0,8})$' then document -> step::integer end;
            else return null;
        end case;
    end loop;
    return document;
end
$$;

-- JSON Patch (RFC 6902). Refuses with INVALID_PATCH what is none, or does not fit the document.
create or replace function holdfast.json_patch(document jsonb, patch jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
    operation jsonb;
    kind text;
    steps text[];
    source text[];
    parent text[];
    step text;
    moved jsonb;
    holder jsonb;
begin
    if jsonb_typeof(patch) is distinct from 'array' then
        perform holdfast.refuse_patch('it is no list of operations');
    end if;
    for operation in select item.value from jsonb_array_elements(patch) with ordinality as item (value, place)
                     order by item.place loop
        kind := operation ->> 'op';
        steps := holdfast.pointer_steps(operation ->> 'path');
        source := holdfast.pointer_steps(operation ->> 'from');
        if steps is null or coalesce(kind, '') not in ('add', 'remove', 'replace', 'move', 'copy', 'test')
            or (kind in ('add', 'replace', 'test') and operation -> 'value' is null)
            or (kind in ('move', 'copy') and source is null) then
            perform holdfast.refuse_patch('an operation is malformed');
        end if;
        if kind in ('remove', 'replace', 'test') and holdfast.value_at(document, steps) is null then
            perform holdfast.refuse_patch('there is nothing where it looks');
        end if;
        if kind in ('move', 'copy') then
            moved := holdfast.value_at(document, source);
            if moved is null or (kind = 'move' and (
                cardinality(source) = 0
                or (cardinality(steps) > cardinality(source) and steps[1:cardinality(source)] = source)
            )) then
                perform holdfast.refuse_patch('there is nothing to take where it looks');
            end if;
            if kind = 'move' then
                document := document #- source;
            end if;
        else
            moved := operation -> 'value';
        end if;

        if kind = 'test' then
            if holdfast.value_at(document, steps) <> moved then
                perform holdfast.refuse_patch('a test failed');
            end if;
        elsif kind = 'remove' then
            if cardinality(steps) = 0 then
                perform holdfast.refuse_patch('all of it cannot be taken out');
            end if;
            document := document #- steps;
        elsif cardinality(steps) = 0 then
            document := moved;
        elsif kind = 'replace' then
            document := jsonb_set(document, steps, moved, false);
        else
            parent := steps[1:cardinality(steps) - 1];
            step := steps[cardinality(steps)];
            holder := holdfast.value_at(document, parent);
            case coalesce(jsonb_typeof(holder), '')
                when 'object' then
                    document := jsonb_set(document, steps, moved, true);
                when 'array' then
                    if step = '-' then
                        step := jsonb_array_length(holder)::text;
                    end if;
                    if step !~ '^(0|[1-9][0-9]{0,8})$' or step::integer > jsonb_array_length(holder) then
                        perform holdfast.refuse_patch('there is no room where it puts something');
                    end if;
                    document := jsonb_insert(document, parent || step, moved);
                else
                    perform holdfast.refuse_patch('there is no room where it puts something');
            end case;
        end if;
    end loop;
    return document;
end
$$;

create or replace function holdfast.refuse_patch(reason text)
returns void
language sql
stable
set search_path = ''
return holdfast.refuse('INVALID_PATCH', format('The patch does not fit the row: %s.', reason),
    'Make the patch from the very version that it names as its base.');

-- The fields of a row that a patch speaks of.
create or replace function holdfast.patched_fields(encoding text, payload jsonb)
returns setof text
language sql
immutable
set search_path = ''
begin atomic
    select field.key from jsonb_object_keys(payload) as field (key) where encoding = 'mergePatch'
    union
    select (holdfast.pointer_steps(pointer.value))[1]
    from jsonb_array_elements(case when encoding = 'jsonPatch' then payload -> 'patch' else '[]' end) as operation (value)
    cross join lateral (
        values (operation.value ->> 'path'), (operation.value ->> 'from')
    ) as pointer (value)
    where pointer.value is not null;
end;

revoke all on function
    holdfast.hybrid_time(timestamptz), holdfast.raise_row_version(), holdfast.merge_patch(jsonb, jsonb),
    holdfast.pointer_steps(text), holdfast.value_at(jsonb, text[]), holdfast.json_patch(jsonb, jsonb),
    holdfast.refuse_patch(text), holdfast.patched_fields(text, jsonb)
from public;
grant execute on function
    holdfast.hybrid_time(timestamptz), holdfast.merge_patch(jsonb, jsonb), holdfast.pointer_steps(text),
    holdfast.value_at(jsonb, text[]), holdfast.json_patch(jsonb, jsonb), holdfast.refuse_patch(text),
    holdfast.patched_fields(text, jsonb)
to authenticated;

reset role;
