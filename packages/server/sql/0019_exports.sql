-- What exports need: text that no spreadsheet takes for a formula, and the query that reads a registered table.
-- Needs 0001 and 0006. Running it twice changes nothing.

set role holdfast_owner;

-- A spreadsheet runs what begins with one of these, also after blanks and in a new line of the same cell; the full-width forms too.
-- So does one whose columns end with a semicolon, or a tab, in what stands behind those.
create or replace function holdfast.csv_text(value text)
returns text
language sql
immutable
return case
    when value ~ '^([\t\n\r]|[ \t\f\v\u0085\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20])'
        then '''' else ''
end || regexp_replace(
    value,
    '([\n\r\t;])([ \t\f\v\u0085\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20])',
    '\1''\2', 'g');

comment on function holdfast.csv_text(text) is
    'The text with an apostrophe before whatever a spreadsheet would take for the beginning of a formula.';

-- The select of an export, with names from the catalog only; what rows it reads is for the caller's policies. Null when no table
-- is registered under the name.
create or replace function holdfast.export_query(of_entity_type text, of_format text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
    columns text;
begin
    select * into registered from holdfast.registered_tables as known where known.entity_type = of_entity_type;
    if registered.target is null then
        return null;
    end if;
    if of_format = 'json' then
        return format('select to_jsonb(holdfast_row.*) from %s as holdfast_row order by %I',
            registered.target, registered.id_column);
    end if;
    select string_agg(format(case
        when type.typcategory in ('N', 'B', 'D', 'T') or type.typname = 'uuid' then 'holdfast_row.%1$I as %2$I'
        else 'holdfast.csv_text(holdfast_row.%1$I::text) as %2$I'
    end, attribute.attname, holdfast.csv_text(attribute.attname::text)), ', ' order by attribute.attnum) into columns
    from pg_catalog.pg_attribute as attribute
    join pg_catalog.pg_type as type on type.oid = attribute.atttypid
    where attribute.attrelid = registered.target and attribute.attnum > 0 and not attribute.attisdropped;
    return format('select %s from %s as holdfast_row order by %I', columns, registered.target, registered.id_column);
end
$$;

revoke all on function
    holdfast.csv_text(text), holdfast.export_query(text, text)
from public;
grant execute on function
    holdfast.csv_text(text), holdfast.export_query(text, text)
to authenticated;

reset role;
