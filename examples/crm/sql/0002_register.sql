-- Lets mutations change accounts, and records every change from here on.

select holdfast.register_table('public.accounts', array[
    'name', 'iata', 'icao', 'kind', 'country_code', 'continent', 'time_zone', 'latitude', 'longitude', 'elevation_ft',
    'scheduled_service', 'website', 'wikipedia', 'runway_length_ft', 'contact_name', 'contact_phone', 'notes'
]);
