-- One login role and one schema per service; nobody reads another's. Run it as a superuser in the database that the services
-- share, as often as you like (it sets the passwords anew):
--   psql -v catalog=… -v runner=… -v scoring=… -v reporting=… -f roles.sql DATABASE
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE assay_%s', service)
  FROM unnest(ARRAY['catalog', 'runner', 'scoring', 'reporting']) AS service
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'assay_' || service) \gexec
ALTER ROLE assay_catalog LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'catalog';
ALTER ROLE assay_runner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'runner';
ALTER ROLE assay_scoring LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'scoring';
ALTER ROLE assay_reporting LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'reporting';
SELECT format('ALTER ROLE assay_%1$s SET search_path = %1$s', service),
       format('GRANT assay_%s TO CURRENT_USER', service),
       format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO assay_%s', current_database(), service),
       format('CREATE SCHEMA IF NOT EXISTS %1$s AUTHORIZATION assay_%1$s', service)
  FROM unnest(ARRAY['catalog', 'runner', 'scoring', 'reporting']) AS service \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
