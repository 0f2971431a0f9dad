-- What an earlier version of the app has stored and a newer one migrates: "original" is the form from before, which may have been
-- sent so; "outdated" is one that may have been sent, and that no step leads from.
-- Needs 0001 to 0015. Running it twice changes nothing.

set role holdfast_owner;

-- As in 0001, with one more.
create or replace function holdfast.known_errors()
returns table (sqlstate text, code text, category text)
language sql
immutable
set search_path = ''
begin atomic
    values
        ('HF001', 'TOKEN_MISSING', 'AUTH_ERROR'),
        ('HF002', 'TOKEN_INVALID', 'AUTH_ERROR'),
        ('HF010', 'FOREIGN_WORKSPACE', 'FORBIDDEN'),
        ('HF011', 'FOREIGN_CLIENT', 'FORBIDDEN'),
        ('HF020', 'INVALID_REQUEST', 'VALIDATION_ERROR'),
        ('HF021', 'UPGRADE_REQUIRED', 'OUTDATED'),
        ('HF022', 'BATCH_TOO_LARGE', 'VALIDATION_ERROR'),
        ('HF030', 'PAYLOAD_TOO_LARGE', 'VALIDATION_ERROR'),
        ('HF031', 'INVALID_PAYLOAD', 'VALIDATION_ERROR'),
        ('HF032', 'NO_HANDLER', 'VALIDATION_ERROR'),
        ('HF033', 'UNKNOWN_COLUMN', 'VALIDATION_ERROR'),
        ('HF034', 'ROW_NOT_FOUND', 'NOT_FOUND'),
        ('HF035', 'ROW_EXISTS', 'CONFLICT'),
        ('HF036', 'ID_REUSED', 'CONFLICT'),
        ('HF037', 'SEQ_REUSED', 'CONFLICT'),
        ('HF038', 'ROW_CHANGED', 'CONFLICT'),
        ('HF039', 'INVALID_PATCH', 'VALIDATION_ERROR'),
        ('HF040', 'OUTDATED', 'OUTDATED');
end;

-- As in 0005, but a mutation is known by its first form, whatever was made of it since.
-- One expression without settings, as since 0009, so that it is inlined.
create or replace function holdfast.payload_hash(mutation jsonb)
returns bytea
language sql
stable
-- the text of a jsonb value is canonical: one spelling whatever the order of keys or the blanks were
return sha256(convert_to((jsonb_build_array(
    mutation -> 'type', coalesce(mutation -> 'original', mutation) -> 'operation',
    coalesce(mutation -> 'original', mutation) #> '{entity,table}',
    coalesce(mutation -> 'original', mutation) #> '{entity,id}',
    coalesce(mutation -> 'original', mutation) -> 'payload'
) || case when coalesce(mutation -> 'original', mutation) ? 'encoding'
    then jsonb_build_array(coalesce(mutation -> 'original', mutation) -> 'encoding') else '[]' end)::text, 'UTF8'));

-- As in 0013, but for what is only asked about: where it is not known it has had no effect, and will have none.
create or replace function holdfast.perform_one(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    handler constant regprocedure := holdfast.handler_of(mutation ->> 'type');
    result jsonb;
begin
    if mutation -> 'outdated' = 'true' then
        perform holdfast.refuse('OUTDATED', 'An earlier version of the app has stored it, and this one cannot migrate it.',
            'Let a version of the app that can retry it, or edit it, or discard it.');
    end if;
    if handler is not null then
        perform holdfast.refuse_unfit_payload(mutation);
        execute format('select %s($1)', handler::oid::regproc) using mutation into result;
        return jsonb_build_object('result', result, 'rowVersion', null);
    end if;
    if mutation ->> 'operation' = 'restore' then
        return holdfast.restore_row(mutation);
    end if;
    return holdfast.perform_mutation(holdfast.as_change_of_row(mutation));
end
$$;

-- As in 0013, and for what is only asked about, which no handler sees.
create or replace function holdfast.begin_handler(batch jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    begun record;
begin
    if jsonb_array_length(batch -> 'mutations') <> 1 then
        perform holdfast.refuse('INVALID_REQUEST', 'A handler is begun for one mutation.', 'Begin it for each alone.');
    end if;
    select * into begun from holdfast.begin_batch(batch);
    if begun.standing = 'known' then
        return begun.outcome;
    end if;
    if begun.standing <> 'new' or not begun.after_settled then
        return jsonb_build_object('seq', begun.seq, 'id', begun.mutation -> 'id', 'kind', 'deferred');
    end if;
    if begun.mutation -> 'outdated' = 'true' then
        return holdfast.fail_handler(batch, 'HF040',
            'An earlier version of the app has stored it, and this one cannot migrate it.',
            'Let a version of the app that can retry it, or edit it, or discard it.');
    end if;
    perform set_config('holdfast.client_id', batch #>> '{client,id}', true),
        set_config('holdfast.mutation_id', begun.mutation_id::text, true);
    return null;
end
$$;

reset role;
