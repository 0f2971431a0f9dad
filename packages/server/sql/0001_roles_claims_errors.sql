-- The roles, the schema, who is calling, and the errors we raise ourselves.
-- Runs unchanged on Postgres 15 to 18, on Supabase and on PGlite; running it twice changes nothing.

-- Roles belong to the whole server, so another database may be creating them at this very moment.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['holdfast_owner', 'authenticated', 'anon'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
    -- Whoever migrates must be able to create things in the owner's name; a superuser already may. Since Postgres 16
    -- being a member does not say so, hence no question asked first.
    if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
        begin
            execute format('grant holdfast_owner to %I', current_user);
        exception
            -- someone with more rights made the role, and granted it or not: "set role" below will tell
            when insufficient_privilege then null;
        end;
    end if;
end
$$;

create schema if not exists holdfast;
alter schema holdfast owner to holdfast_owner;
grant usage on schema holdfast to authenticated;

-- Everything in the schema belongs to a role that nobody can log in as: the functions below that run with its rights
-- can then touch Holdfast's own tables and nothing of the app's.
set role holdfast_owner;

create or replace function holdfast.claims()
returns jsonb
language sql
stable
-- without a search path of its own, so that the planner writes it into what calls it; its body was read when it was made
-- a setting once made local reads as '' in later transactions, not as null
return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

comment on function holdfast.claims() is
    'The claims of the verified token, as the door or PostgREST set them for this transaction; null when there are none.';

-- These three stand in policies, which are planned anew with every statement that is not prepared. In plpgsql, because what it
-- made of a body it keeps for the connection: a function in SQL is planned each time, written into the statement or not.
create or replace function holdfast.actor()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
    return nullif(holdfast.claims() ->> 'sub', '');
end
$$;

comment on function holdfast.actor() is 'The signed-in user: claim "sub"; null when nobody is.';

create or replace function holdfast.workspace()
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
    claims constant jsonb := holdfast.claims();
begin
    return nullif(coalesce(claims ->> 'workspace_id', claims #>> '{app_metadata,workspace_id}'), '');
end
$$;

comment on function holdfast.workspace() is
    'The workspace of the caller: claim "workspace_id", or "app_metadata.workspace_id". In policies write '
    '(select holdfast.workspace()), so that it is read once per statement and not once per row.';

create or replace function holdfast.is_admin()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
    claims constant jsonb := holdfast.claims();
begin
    return coalesce(claims ->> 'holdfast_role', claims #>> '{app_metadata,holdfast_role}') is not distinct from 'admin';
end
$$;

comment on function holdfast.is_admin() is
    'Whether the caller is an admin of their workspace: claim "holdfast_role", or "app_metadata.holdfast_role", is "admin". '
    'Never in user_metadata, which users may set themselves.';

-- The words are those of ERROR_CODES in the protocol (a test compares the two). None is in class 40: a gateway may
-- repeat what ends in class 40, and repeat it without end.
create or replace function holdfast.known_errors()
returns table (sqlstate text, code text, category text)
language sql
immutable
set search_path = ''
begin atomic
    values
        ('HF001', 'TOKEN_MISSING', 'AUTH_ERROR'),
        ('HF002', 'TOKEN_INVALID', 'AUTH_ERROR'),
        ('HF003', 'WRONG_LOGIN', 'AUTH_ERROR'),
        ('HF010', 'FOREIGN_WORKSPACE', 'FORBIDDEN'),
        ('HF011', 'FOREIGN_CLIENT', 'FORBIDDEN'),
        ('HF020', 'INVALID_REQUEST', 'VALIDATION_ERROR'),
        ('HF021', 'UPGRADE_REQUIRED', 'OUTDATED'),
        ('HF022', 'BATCH_TOO_LARGE', 'VALIDATION_ERROR'),
        ('HF023', 'TOO_MANY_REQUESTS', 'RATE_LIMITED'),
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

create or replace function holdfast.refuse(refused_code text, message text, hint text)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    state text;
begin
    select known.sqlstate into strict state from holdfast.known_errors() as known where known.code = refused_code;
    -- the word travels in the detail, so that a caller over PostgREST gets it too
    raise exception using errcode = state, message = message, hint = hint, detail = refused_code;
end
$$;

comment on function holdfast.refuse(text, text, text) is
    'Raises one of known_errors() by its code. Handlers of an app may call it too.';

-- Whether trying again can never help. What is neither listed here nor known to pass (a missing column after a deploy,
-- an internal error) counts as temporary: a person can still decide otherwise, a lost change cannot be decided back.
create or replace function holdfast.is_permanent(state text)
returns boolean
language sql
immutable
return left(state, 2) in ('22', '23', 'HF') or state in ('42501', 'P0001');

create or replace function holdfast.wire_error(state text, message text, hint text)
returns jsonb
language sql
immutable
set search_path = ''
return (
    select jsonb_strip_nulls(jsonb_build_object(
        'category', coalesce(known.category, case
            when state in ('23503', '23505', '23P01') then 'CONFLICT'
            when state = '42501' then 'FORBIDDEN'
            when state = '57014' then 'TIMEOUT_ERROR'
            when left(state, 2) in ('22', '23') or state = 'P0001' then 'VALIDATION_ERROR'
            else 'SERVER_ERROR'
        end),
        'code', coalesce(known.code, state),
        -- what went wrong inside the server is the operator's to read, not the caller's
        'message', case
            when holdfast.is_permanent(state) then message
            when state in ('40001', '40P01', '55P03') then 'Someone else was changing the same data.'
            when state = '57014' then 'The database took too long.'
            else 'The server could not apply this change now.'
        end,
        'hint', case
            when holdfast.is_permanent(state) then nullif(hint, '')
            when state in ('40001', '40P01', '55P03', '57014') then 'Try again in a moment.'
            else format('Try again later; if it stays, tell the operator the code %s.', state)
        end
    ))
    from (select) as here
    left join holdfast.known_errors() as known on known.sqlstate = state
);

comment on function holdfast.wire_error(text, text, text) is 'A database error as the wire''s WireError.';

revoke all on function
    holdfast.claims(), holdfast.actor(), holdfast.workspace(), holdfast.is_admin(), holdfast.known_errors(),
    holdfast.refuse(text, text, text), holdfast.is_permanent(text), holdfast.wire_error(text, text, text)
from public;
grant execute on function
    holdfast.claims(), holdfast.actor(), holdfast.workspace(), holdfast.is_admin(), holdfast.known_errors(),
    holdfast.refuse(text, text, text), holdfast.is_permanent(text), holdfast.wire_error(text, text, text)
to authenticated;

reset role;
