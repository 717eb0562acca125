using System.Net.Http.Json;
using System.Text.Json;

namespace MultiCluster.Cluster.Tests;

/// <summary>What the question how many pods there are, cluster by cluster, got for an answer.</summary>
/// <param name="AskedAt">When it was asked, from a start of the caller's choice.</param>
/// <param name="AnsweredAt">When the answer was there.</param>
/// <param name="Total">Pods.</param>
/// <param name="States">What the answer says of each cluster, such as <c>ok</c> or <c>syncing</c>.</param>
/// <param name="Failures">The coverage of clusters that it calls failed, in full.</param>
internal sealed record FleetAnswer(TimeSpan AskedAt, TimeSpan AnsweredAt, long Total, IReadOnlyDictionary<string, string> States, IReadOnlyList<string> Failures)
{
    /// <summary>Clusters that it does not cover as they are now.</summary>
    public IReadOnlyList<string> NotFresh { get; } = [.. States.Where(s => s.Value != "ok").Select(s => s.Key)];

    /// <summary>Asks once.</summary>
    /// <exception cref="HttpRequestException">There was no answer, or one that is none.</exception>
    public static async Task<FleetAnswer> AskAsync(FleetUnderTest fleet, long start)
    {
        TimeSpan askedAt = TimeProvider.System.GetElapsedTime(start);
        using HttpResponseMessage response = await fleet.Http.GetAsync("/v1/count/pods?by=cluster");
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}", inner: null, response.StatusCode);
        }

        JsonElement body = await response.Content.ReadFromJsonAsync<JsonElement>();
        return new FleetAnswer(
            askedAt,
            TimeProvider.System.GetElapsedTime(start),
            body.GetProperty("total").GetInt64(),
            body.GetProperty("coverage").EnumerateArray()
                .ToDictionary(c => c.GetProperty("cluster").GetString()!, c => c.GetProperty("state").GetString()!, StringComparer.Ordinal),
            [.. body.GetProperty("coverage").EnumerateArray().Where(c => c.GetProperty("state").GetString() == "failed").Select(c => c.GetRawText())]);
    }
}
