using System.Collections;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using Grpc.AspNetCore.HealthChecks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MultiCluster.Engine.Grpc.Health;

namespace Grpc.AspNetCore.HealthChecks
{
    /// <summary>Which health checks stand for which service name.</summary>
    public sealed class GrpcHealthChecksOptions
    {
        /// <summary>Service names with the checks that decide about them. The empty name stands for the whole server.</summary>
        /// <value>Default: the empty name with all checks.</value>
        public ServiceMappingCollection Services { get; } = [];

        /// <summary>Whether Check answers with what was last published instead of running the checks.</summary>
        /// <value>Default false.</value>
        public bool UseHealthChecksCache { get; set; }

        /// <summary>Whether Watch calls stay open when the application stops, instead of saying NOT_SERVING and ending.</summary>
        /// <value>Default false.</value>
        public bool SuppressCompletionOnShutdown { get; set; }
    }

    /// <summary>A registered health check as a mapping sees it.</summary>
    public sealed class HealthCheckMapContext(string name, IEnumerable<string> tags)
    {
        /// <summary>Its name.</summary>
        public string Name { get; } = name;

        /// <summary>Its tags.</summary>
        public IEnumerable<string> Tags { get; } = tags;
    }

    /// <summary>One service name with its checks.</summary>
    public sealed class ServiceMapping(string name, Func<HealthCheckMapContext, bool> predicate)
    {
        /// <summary>What clients ask for.</summary>
        public string Name { get; } = name;

        /// <summary>Which checks count.</summary>
        public Func<HealthCheckMapContext, bool>? HealthCheckPredicate { get; } = predicate;
    }

    /// <summary>Service names with their checks; a name is there once.</summary>
    [SuppressMessage("Design", "CA1010", Justification = "The enumeration is all that is promised.")]
    public sealed class ServiceMappingCollection : ICollection<ServiceMapping>
    {
        private readonly Dictionary<string, ServiceMapping> _mappings = new(StringComparer.Ordinal);

        /// <inheritdoc/>
        public int Count => _mappings.Count;

        bool ICollection<ServiceMapping>.IsReadOnly => false;

        /// <summary>Maps a name, instead of what it stood for before.</summary>
        public void Map(string name, Func<HealthCheckMapContext, bool> predicate) => _mappings[name] = new ServiceMapping(name, predicate);

        /// <inheritdoc/>
        public void Add(ServiceMapping service) => _mappings.Add(service.Name, service);

        /// <summary>Forgets a name.</summary>
        public void Remove(string name) => _mappings.Remove(name);

        /// <inheritdoc/>
        public void Clear() => _mappings.Clear();

        /// <inheritdoc/>
        public IEnumerator<ServiceMapping> GetEnumerator() => _mappings.Values.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        bool ICollection<ServiceMapping>.Contains(ServiceMapping item) => _mappings.ContainsValue(item);

        void ICollection<ServiceMapping>.CopyTo(ServiceMapping[] array, int arrayIndex) => _mappings.Values.CopyTo(array, arrayIndex);

        bool ICollection<ServiceMapping>.Remove(ServiceMapping item) => _mappings.Remove(item.Name);

        internal ServiceMapping? Find(string name) => _mappings.GetValueOrDefault(name);
    }
}

namespace Microsoft.Extensions.DependencyInjection
{
    /// <summary>Adds the gRPC health service.</summary>
    public static class GrpcHealthChecksServiceExtensions
    {
        /// <summary>Adds it with the empty name standing for all checks; add the checks to what is returned.</summary>
        public static IHealthChecksBuilder AddGrpcHealthChecks(this IServiceCollection services)
        {
            ArgumentNullException.ThrowIfNull(services);
            services.TryAddSingleton<ServingStatuses>();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHealthCheckPublisher, ServingStatusPublisher>());
            services.Configure<GrpcHealthChecksOptions>(options => options.Services.Map("", _ => true));
            return services.AddHealthChecks();
        }

        /// <summary>Adds it and configures it.</summary>
        public static IHealthChecksBuilder AddGrpcHealthChecks(this IServiceCollection services, Action<GrpcHealthChecksOptions> configure)
        {
            ArgumentNullException.ThrowIfNull(configure);
            IHealthChecksBuilder builder = services.AddGrpcHealthChecks();
            services.Configure(configure);
            return builder;
        }
    }
}

namespace Microsoft.AspNetCore.Builder
{
    /// <summary>Maps the gRPC health service.</summary>
    public static class GrpcHealthChecksEndpointRouteBuilderExtensions
    {
        /// <summary>Maps <c>grpc.health.v1.Health</c>.</summary>
        public static GrpcServiceEndpointConventionBuilder MapGrpcHealthChecksService(this IEndpointRouteBuilder builder) => builder.MapGrpcService<HealthService>();
    }
}
