-- Made-up people and deals for the larger accounts of a workspace ($1), the same in every fresh database.
with larger as (
    select id, name, iata, row_number() over (order by name, id)::integer as number
    from public.accounts
    where workspace_id = $1 and kind = 'large_airport'
    order by name, id
    limit 400
), people as (
    select
        larger.*, part,
        (array['Aino', 'Bruno', 'Carla', 'Dmitri', 'Elif', 'Farid', 'Greta', 'Hiro', 'Ines', 'Jamal', 'Kofi', 'Lena', 'Mateo',
               'Nadia', 'Olu', 'Priya', 'Quentin', 'Rosa', 'Sven', 'Tomoko'])[1 + (number * 7 + part * 3) % 20] as first_name,
        (array['Abebe', 'Brandt', 'Costa', 'Dubois', 'Eriksen', 'Fujita', 'Garcia', 'Haddad', 'Ivanova', 'Jansen', 'Kaya', 'Larsen',
               'Mensah', 'Novak', 'Ortega', 'Petrov', 'Rossi', 'Silva', 'Tanaka', 'Weber', 'Yilmaz'])[1 + (number * 5 + part * 11) % 21]
            as last_name
    from larger cross join generate_series(1, 2) as part
), made_people as (
    insert into public.contacts (id, workspace_id, account_id, name, role, email, phone)
    select
        overlay(overlay(md5($1 || '|contact|' || id || '|' || part) placing '3' from 13) placing '8' from 17)::uuid, $1, id,
        first_name || ' ' || last_name,
        (array['Operations', 'Procurement', 'Finance', 'Ground handling', 'Safety'])[1 + (number + part) % 5],
        lower(first_name || '.' || last_name || '@' || coalesce(iata, 'airport') || '.example'),
        null
    from people
)
insert into public.deals (id, workspace_id, account_id, title, stage, amount_eur, owner)
select
    overlay(overlay(md5($1 || '|deal|' || id) placing '3' from 13) placing '8' from 17)::uuid, $1, id,
    (array['Ground power units', 'De-icing season', 'Baggage tractors', 'Runway lights', 'Passenger stairs', 'Cabin cleaning',
           'Fuel hydrants'])[1 + number % 7],
    (array['lead', 'lead', 'offer', 'lead', 'negotiation', 'offer', 'won', 'lost'])[1 + number % 8],
    -- leads have no amount yet
    case when number % 8 in (0, 1, 3) then 0 else (1 + number * 37 % 90) * 5000 end,
    (array['Amara Okafor', 'Mei Tanaka', 'Jonas Lindqvist', null])[1 + number % 4]
from larger
where number % 2 = 0 or number <= 100
