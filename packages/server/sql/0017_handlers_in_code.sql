-- For code of the server that handles a mutation between two statements of one transaction. Each takes a batch of that one
-- mutation, as the caller. Needs 0014 and 0016. Running it twice changes nothing.
--
--   begin_handler ──null──▶ savepoint, the effect ──▶ finish_handler          ──▶ outcome, recorded
--     └─outcome (settled before, or not its turn)     └─error, rolled back ──▶ fail_handler ──▶ outcome

set role holdfast_owner;

-- The first of the three above. What is only asked about ("outdated") no handler sees.
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
    if current_setting('holdfast.constraints', true) = 'immediate' then
        perform holdfast.defer_again();
    end if;
    perform set_config('holdfast.client_id', batch #>> '{client,id}', true),
        set_config('holdfast.mutation_id', begun.mutation_id::text, true);
    return null;
end
$$;

comment on function holdfast.begin_handler(jsonb) is
    'Whether a mutation is to be carried out now, by code of the server in this transaction: null when it is, else its outcome. '
    'What is written from here on belongs to it, until finish_handler or fail_handler.';

create or replace function holdfast.record_handled(
    batch jsonb, verdict text, result jsonb, error jsonb, row_version bigint
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
begin
    perform holdfast.record_verdicts(
        (batch #>> '{client,id}')::uuid, array[1], array[(mutation ->> 'seq')::numeric::bigint],
        array[(mutation ->> 'id')::uuid], array[coalesce((mutation ->> 'generation')::numeric::integer, 0)],
        array[holdfast.payload_hash(mutation)], verdict, array[result::json], array[error], array[row_version],
        array[coalesce((mutation ->> 'rebases')::numeric::integer, 0)]);
end
$$;

create or replace function holdfast.finish_handler(batch jsonb, result jsonb default null, row_version bigint default null)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
begin
    set constraints all immediate;
    perform set_config('holdfast.constraints', 'immediate', true);
    perform holdfast.record_handled(batch, 'applied', nullif(result, 'null'), null, row_version);
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true);
    return jsonb_build_object('seq', mutation -> 'seq', 'id', mutation -> 'id', 'kind', 'applied', 'result', result)
        || holdfast.row_version_field(row_version);
end
$$;

comment on function holdfast.finish_handler(jsonb, jsonb, bigint) is
    'Records that the mutation was carried out, in the transaction of its effect, and answers its outcome. Deferred constraints '
    'are checked first, so what they say can still be answered.';

create or replace function holdfast.fail_handler(
    batch jsonb, state text, message text, hint text default null, constraint_name text default null
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
    final_state constant text := case
        when holdfast.is_permanent(state) and holdfast.is_settled_meanwhile((mutation ->> 'id')::uuid) then '40001'
        else state
    end;
    failure constant jsonb := holdfast.describe_failure(
        mutation, final_state, message, coalesce(hint, ''), coalesce(constraint_name, ''));
    -- what failed in the checks at its end may be made good by what follows it
    is_for_good constant boolean := not coalesce(batch -> 'goesOn' = 'true', false) and holdfast.is_for_good(mutation, final_state);
begin
    if is_for_good then
        perform holdfast.record_handled(batch, 'rejected', null, failure, null);
    end if;
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true);
    return jsonb_build_object('seq', mutation -> 'seq', 'id', mutation -> 'id',
        'kind', case when is_for_good then 'rejected' else 'refused' end, 'error', failure);
end
$$;

comment on function holdfast.fail_handler(jsonb, text, text, text, text) is
    'After the effect was rolled back: records the refusal if the SQLSTATE says that it can never succeed, and answers the '
    'outcome. Every other failure is one that may pass, and any that finish_handler raised where the batch says "goesOn": true, '
    'that more of its request comes in another call.';

revoke all on function
    holdfast.begin_handler(jsonb), holdfast.record_handled(jsonb, text, jsonb, jsonb, bigint),
    holdfast.finish_handler(jsonb, jsonb, bigint), holdfast.fail_handler(jsonb, text, text, text, text)
from public;
grant execute on function
    holdfast.begin_handler(jsonb), holdfast.record_handled(jsonb, text, jsonb, jsonb, bigint),
    holdfast.finish_handler(jsonb, jsonb, bigint), holdfast.fail_handler(jsonb, text, text, text, text)
to authenticated;

reset role;
