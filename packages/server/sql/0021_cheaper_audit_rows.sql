-- What an audit row costs on its way in: the history of a row is found by a hash of its id, and one check tells what four did.
-- Needs 0011. Running it twice changes nothing.

set role holdfast_owner;

-- A row's history is short, so it is sorted when it is read; a tree over long random keys cost a third of the row.
drop index if exists holdfast.audit_log_by_entity;
-- serves the history of one row
create index if not exists audit_log_by_entity_id on holdfast.audit_log using hash (entity_id);

do $$
begin
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'holdfast.audit_log'::regclass and conname = 'audit_log_values_fit_action'
    ) then
        alter table holdfast.audit_log
            drop constraint audit_log_action_known,
            drop constraint audit_log_old_values_unless_new,
            drop constraint audit_log_new_values_unless_delete,
            drop constraint audit_log_changed_fields_iff_update,
            add constraint audit_log_values_fit_action check (case action
                when 'create' then old_values is null and new_values is not null and changed_fields is null
                when 'update' then old_values is not null and new_values is not null and changed_fields is not null
                when 'delete' then old_values is not null and new_values is null and changed_fields is null
                when 'restore' then old_values is null and new_values is not null and changed_fields is null
                else false
            end);
    end if;
end
$$;

reset role;
