{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
        meta={'reads': 'changes', 'sliced_by': ['tenant_id', 'person_type', 'person_id']},
    )
}}

{#- Every column is a first or a sum, so an increment joins the identifiers that came with the
    person that is there, who stands in as one more identifier, and reads no other one. Whoever lost
    an identifier, or has one that begins later than it did, is made anew from all identifiers
    instead. A visit or device that is nobody's is a person with one identifier. Another identifier
    of a known person changes nothing, unless it comes with a step, a purchase or an earlier event. -#}

{%- set identity = ref('int_identity') %}
{%- set identifier = ['tenant_id', 'identifier_type', 'identifier'] %}
{%- set person %}
    case when user_id is null then identifier_type else 'user' end as person_type,
    coalesce(user_id, identifier) as person_id
{%- endset %}
{%- set firsts = [
    'linked_at', 'first_seen_at', 'first_page_at', 'signed_up_at', 'wallet_connected_at',
    'purchased_at',
] %}
{%- set earliest = [] %}
{%- set is_later = [] %}
{%- for first in firsts %}{% do earliest.append('min(' ~ first ~ ') as ' ~ first) %}{% endfor %}
{%- set later = "coalesce(came.{0}, 'infinity') > coalesce(gone.{0}, 'infinity')" %}
{%- for first in firsts %}{% do is_later.append(later.format(first)) %}{% endfor %}
{%- set is_another = [] %}
{%- set another = 'came.first_{0} is distinct from gone.first_{0}' %}
{%- for one in first_page_columns() %}{% do is_another.append(another.format(one)) %}{% endfor %}

{%- set first_page = '(first_page_at, first_page_key)' %}
{%- set of_pages = 'filter (where first_page_at is not null)' %}

{%- if is_incremental() %}
    {%- set all_anew = delta_plan().follows_backfill %}
    {%- set with_person = 'select *, ' ~ person ~ ' from ' %}
    {%- set came_sql = with_person ~ '(' ~ came_rows(identity, ['*'], identifier) ~ ')' %}
    {%- set came = stage_rows('came', came_sql) %}
    {%- set gone_sql = with_person ~ '(' ~ gone_rows(identity, ['*'], identifier) ~ ')' %}
    {%- set gone = stage_rows('gone', gone_sql) %}
    {%- set met_sql %}
        select tenant_id, person_type, person_id from {{ came }}
        union
        select tenant_id, person_type, person_id from {{ gone }}
    {%- endset %}
    {%- set met = stage_rows('met', met_sql) %}
    {#- Nobody's visit or device that was there before is among those gone. -#}
    {%- set seen_sql %}
        select
            tenant_id,
            person_type,
            person_id,
            first_seen_date,
            identified_at as linked_at,
            first_seen_at,
            first_page_at
        from {{ rows_near(this, ['person_type', 'person_id'], met) }}
        where
            (tenant_id, person_type, person_id) in (from {{ met }})
            {{ '' if all_anew else 'and is_known' }}
    {%- endset %}
    {%- set seen = stage_rows('seen', seen_sql) %}
    {%- set touched_sql %}
        with news as (
            select
                tenant_id,
                person_type,
                person_id,
                {{ earliest | join(', ') }},
                sum(purchase_count) as purchase_count
            from {{ came }}
            group by all
        )

        select
            tenant_id,
            person_type,
            person_id
        from news
        left join {{ seen }} as seen using (tenant_id, person_type, person_id)
        where {{ changes_firsts('news', 'seen') }}
        union
        select
            tenant_id,
            person_type,
            person_id
        from {{ gone }}
    {%- endset %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- set anew_sql %}
        select
            gone.tenant_id,
            gone.person_type,
            gone.person_id
        from {{ gone }} as gone
        left join {{ came }} as came using ({{ identifier | join(', ') }})
        where
            gone.user_id is not null
            and (
                came.user_id is distinct from gone.user_id
                or {{ is_later | join(' or ') }}
            )
        union
        select
            came.tenant_id,
            came.person_type,
            came.person_id
        from {{ came }} as came
        inner join {{ seen }} as seen using (tenant_id, person_type, person_id, first_page_at)
        left join {{ gone }} as gone using ({{ identifier | join(', ') }}, first_page_at)
        where
            came.first_page_key is distinct from gone.first_page_key
            or {{ is_another | join(' or ') }}
    {%- endset %}
    {%- set anew = stage_rows('anew', 'from ' ~ touched if all_anew else anew_sql) %}
    {%- set is_touched = '(tenant_id, person_type, person_id) in (from ' ~ touched ~ ')' %}
    {%- set merged = touched ~ ' except from ' ~ anew %}
    {%- set is_merged = '(tenant_id, person_type, person_id) in (from ' ~ merged ~ ')' %}
    {%- set is_of_anew %}
        (
            tenant_id,
            case when user_id is null then identifier_type else 'user' end,
            coalesce(user_id, identifier)
        ) in (from {{ anew }})
    {%- endset %}
    {%- set replaced_days_sql %}
        select tenant_id, first_seen_date from {{ seen }}
        where {{ is_touched }}
        union
        select tenant_id, first_seen_date from {{ gone }}
        where user_id is null
    {%- endset %}
    {%- set replaced_sql %}
        select * from {{ this }}
        where
            {{ in_buckets_of(replaced_days_sql, 'first_seen_date') }}
            and (tenant_id, person_type, person_id) in (
                select tenant_id, person_type, person_id from {{ seen }}
                where {{ is_touched }}
                union
                select tenant_id, person_type, person_id from {{ gone }}
                where user_id is null
            )
    {%- endset %}
    {%- set replaced = stage_rows('replaced', replaced_sql) %}
    {%- set identifiers_sql %}
        select * exclude (person_type, person_id) from {{ came }}
        where {{ is_merged }}
        union all by name
        select
            * exclude (person_type, person_id, is_known, first_seen_date, identified_at),
            person_id as user_id,
            identified_at as linked_at,
            '' as first_page_key
        from {{ replaced }}
        where is_known and {{ is_merged }}
        union all by name
        select
            tenant_id,
            user_id,
            -purchase_count as purchase_count,
            -revenue_usd as revenue_usd
        from {{ gone }}
        where user_id is not null and {{ is_merged }}
        union all by name
        {{ rows_where(identity, 'first_seen_date', is_of_anew) }}
    {%- endset %}
{%- endif %}

{%- set persons_sql %}
    with identifiers as (
        select
            *,
            {{ person }}
        from {{ '(' ~ identifiers_sql ~ ')' if is_incremental() else identity }}
    )

    select
        tenant_id,
        person_type,
        person_id,
        person_type = 'user' as is_known,
        min(linked_at) as identified_at,
        min(first_seen_at) as first_seen_at,
        {{ utc_date('min(first_seen_at)') }} as first_seen_date,
        min(first_page_at) as first_page_at,
        {{ of_first_page(first_page, of_pages) }},
        min(signed_up_at) as signed_up_at,
        min(wallet_connected_at) as wallet_connected_at,
        min(purchased_at) as purchased_at,
        cast(sum(purchase_count) as bigint) as purchase_count,
        cast(sum(revenue_usd) as decimal(18, 2)) as revenue_usd
    from identifiers
    where
        {{ in_slice() }}
{%- if is_backfill() %}
        and (tenant_id, person_type, person_id) in (
            select
                tenant_id,
                person_type,
                person_id
            from identifiers
            where {{ in_scope('first_seen_date') }}
        )
{%- endif %}
    group by all
{%- endset %}

{%- if is_incremental() %}
    {%- set made = stage_rows('made', persons_sql) %}
    {%- set written_sql %}
        {{ replaced_days_sql }}
        union
        select tenant_id, first_seen_date from {{ made }}
    {%- endset %}
    {%- do replaces_buckets(written_sql) %}
    {%- do keeps_changes(made, replaced) %}
    {%- set kept_sql %}
        select * from {{ this }}
        where
            {{ in_buckets_of(written_sql, 'first_seen_date') }}
            and (tenant_id, person_type, person_id) not in (
                select tenant_id, person_type, person_id from {{ replaced }}
            )
    {%- endset %}
select * from {{ made }}
{{ and_keeps(kept_sql) }}
{%- else %}

select * from ({{ persons_sql }})
where {{ in_scope('first_seen_date') }}
{%- endif %}
