-- Edits and deletions that go together in one statement are told in the order in which they were asked for.
-- Needs 0022. Running it twice changes nothing.

set role holdfast_owner;

-- As in 0022, but for the numbers of what an edit or a deletion of several rows has changed: Postgres takes the rows in the order
-- that suits it, and is told here in which they were asked for. Numbers are drawn in that order while all of the rows are locked.
-- Once per statement, not once per row: bulk writes stay cheap. Arguments: entity type, id column, workspace column.
-- Security definer because nobody but the owner may write the log; it reads only the rows its trigger hands it.
-- Relations are named as no column ever is: to_jsonb(n) would record a column called n.
create or replace function holdfast.write_audit()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    audit_entity_type constant text := tg_argv[0];
    audit_id_column constant text := tg_argv[1];
    audit_workspace_column constant text := tg_argv[2];
    audit_claims constant jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
    audit_actor constant text := nullif(audit_claims ->> 'sub', '');
    audit_mutation constant uuid := nullif(current_setting('holdfast.mutation_id', true), '')::uuid;
    -- of a statement that carries out several mutations: which of them each row belongs to
    audit_mutations constant jsonb := nullif(current_setting('holdfast.mutation_ids', true), '')::jsonb;
    audit_client constant uuid := nullif(current_setting('holdfast.client_id', true), '')::uuid;
    -- PostgREST and the door set it: the headers, by names in lower case
    audit_headers constant jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
    audit_peer constant text := nullif(current_setting('holdfast.peer_address', true), '');
    -- the rows of such a statement, in the order of their mutations, and a number for each
    audit_order text[];
    audit_ids bigint[];
    audit_ip text;
    audit_agent text;
begin
    if audit_headers is not null or audit_peer is not null then
        audit_ip := holdfast.address_of(audit_headers ->> 'x-forwarded-for', audit_peer,
            (select known.trusted_hops from holdfast.settings as known));
        audit_agent := left(audit_headers ->> 'user-agent', 300);
    end if;
    if audit_mutations is not null and tg_op <> 'INSERT' then
        -- not of jsonb, which has an order of its own
        audit_order := array(select json_object_keys(current_setting('holdfast.mutation_ids')::json));
        audit_ids := array(select nextval('holdfast.audit_log_ids') from generate_series(1, cardinality(audit_order)));
    end if;
    if tg_op = 'INSERT' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, new_values, mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor,
               case when current_setting('holdfast.is_restoring', true) = 'on' then 'restore' else 'create' end,
               audit_entity_type, after_image.image ->> audit_id_column, after_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_new_rows.*) as image from holdfast_new_rows offset 0) as after_image;
    elsif tg_op = 'DELETE' then
        insert into holdfast.audit_log
            (id, workspace_id, actor, action, entity_type, entity_id, old_values, mutation_id, client_id, ip, user_agent)
        select case when audit_order is null then nextval('holdfast.audit_log_ids')
                   else audit_ids[array_position(audit_order, before_image.image ->> audit_id_column)] end,
               before_image.image ->> audit_workspace_column, audit_actor, 'delete', audit_entity_type,
               before_image.image ->> audit_id_column, before_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (before_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_old_rows.*) as image from holdfast_old_rows offset 0) as before_image;
    else
        -- both lists are in the order the rows were updated, so numbering pairs them even where the key itself changed
        insert into holdfast.audit_log
            (id, workspace_id, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id, ip, user_agent)
        select case when audit_order is null then nextval('holdfast.audit_log_ids')
                   else audit_ids[array_position(audit_order, after_image.image ->> audit_id_column)] end,
               after_image.image ->> audit_workspace_column, audit_actor, 'update', audit_entity_type,
               after_image.image ->> audit_id_column, difference.old_values, difference.new_values,
               difference.changed_fields,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (
            select to_jsonb(holdfast_old_rows.*) as image, row_number() over () as place from holdfast_old_rows
        ) as before_image
        join (
            select to_jsonb(holdfast_new_rows.*) as image, row_number() over () as place from holdfast_new_rows
        ) as after_image using (place)
        cross join lateral (
            select coalesce(jsonb_object_agg(field.key, before_image.image -> field.key), '{}') as old_values,
                   coalesce(jsonb_object_agg(field.key, field.value), '{}') as new_values,
                   coalesce(array_agg(field.key order by field.key), '{}') as changed_fields
            from jsonb_each(after_image.image) as field
            where before_image.image -> field.key is distinct from field.value
        ) as difference;
    end if;
    return null;
end
$$;

revoke all on function holdfast.write_audit() from public;

reset role;
