-- What was deleted, for devices that show it still. The audit log does not tell them: everyone reads there what they did themselves and
-- the history of rows that they may see, and a row that is gone is seen by nobody.

create table public.deletions (
    table_name   text not null,
    id           uuid not null,
    workspace_id text not null,
    deleted_xid  xid8 not null default pg_current_xact_id(),
    primary key (table_name, id)
);

-- serves what was deleted in a workspace since a cursor
create index deletions_by_change on public.deletions (workspace_id, deleted_xid);

alter table public.deletions enable row level security;
grant select on public.deletions to authenticated;

create policy deletions_of_the_workspace on public.deletions
    for select to authenticated
    using (workspace_id = (select holdfast.workspace()));

-- Security definer: nobody writes a deletion without making one.
create function public.keep_deletion()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into public.deletions (table_name, id, workspace_id) values (tg_table_name, old.id, old.workspace_id)
    on conflict (table_name, id) do update set deleted_xid = excluded.deleted_xid;
    return null;
end
$$;
revoke all on function public.keep_deletion() from public;

create trigger accounts_keep_deletion after delete on public.accounts
for each row execute function public.keep_deletion();
create trigger contacts_keep_deletion after delete on public.contacts
for each row execute function public.keep_deletion();
create trigger deals_keep_deletion after delete on public.deals
for each row execute function public.keep_deletion();

insert into public.deletions (table_name, id, workspace_id, deleted_xid)
select distinct on (entity_type, entity_id) entity_type, entity_id::uuid, workspace_id, transaction_id
from holdfast.audit_log
where action = 'delete' and entity_type in ('accounts', 'contacts', 'deals')
order by entity_type, entity_id, id desc;
